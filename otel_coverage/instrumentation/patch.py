"""Replacing a method of somebody else's class, or a function of their module, and putting the very same thing back."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

# wrapped method, its instance (or class), arguments, keyword arguments
Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class Patches:
    """Methods and functions wrapped by us, to be undone together."""

    def __init__(self) -> None:
        self._undo: list[tuple[type | ModuleType, str, object, object]] = []

    def wrap(self, owner: type | ModuleType, name: str, wrapper: Wrapper) -> None:
        """Wrap it where it is defined: in ``owner`` itself, or in the nearest of its bases that defines it."""
        places = (owner,) if isinstance(owner, ModuleType) else owner.__mro__
        definer = next(place for place in places if name in vars(place))
        original = vars(definer)[name]
        wrapped = wrapt.FunctionWrapper(original, wrapper)
        self._undo.append((definer, name, original, wrapped))
        setattr(definer, name, wrapped)

    def undo(self) -> None:
        """Put back what stood there, classmethods as classmethods; where somebody put theirs since, theirs stays."""
        while self._undo:
            owner, name, original, wrapped = self._undo.pop()
            if vars(owner)[name] is wrapped:
                setattr(owner, name, original)
