"""Replacing a method of somebody else's class, and putting the very same thing back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt

# wrapped method, its instance (or class), arguments, keyword arguments
Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class Patches:
    """Methods wrapped by us, to be undone together."""

    def __init__(self) -> None:
        self._undo: list[tuple[type, str, object]] = []

    def wrap(self, owner: type, name: str, wrapper: Wrapper) -> None:
        """Wrap the method where it is defined: ``owner`` itself, or the nearest of its bases that defines it."""
        definer = next(base for base in owner.__mro__ if name in vars(base))
        original = vars(definer)[name]
        self._undo.append((definer, name, original))
        setattr(definer, name, wrapt.FunctionWrapper(original, wrapper))

    def undo(self) -> None:
        """Put back what stood there, classmethods as classmethods."""
        while self._undo:
            owner, name, original = self._undo.pop()
            setattr(owner, name, original)
