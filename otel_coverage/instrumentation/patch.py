"""Wrapping functions of other packages, and undoing that."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import wrapt

# called with the wrapped function (bound), its instance or class, positional and keyword arguments
Wrapper = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]

_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


def arguments(args: tuple[Any, ...], kwargs: dict[str, Any], **positions: int) -> tuple[Any, ...]:
    """The named arguments of a call, by their positions; None for those that were not given."""
    return tuple(args[at] if at < len(args) else kwargs.get(name) for name, at in positions.items())


class Patches:
    """The hooks of one instrumentation: wrapped functions and other things to undo, all undone together."""

    def __init__(self) -> None:
        self._patches: dict[tuple[type | ModuleType, str], _Patch] = {}
        self._undo: list[Callable[[], object]] = []

    def wrap(self, owner: type | ModuleType, name: str, wrapper: Wrapper) -> None:
        """Wrap a function or method where it is defined: in ``owner``, or in the nearest of its bases that defines it.

        Where that is a class written in C, which cannot be changed, ``owner`` gets the wrapper. What these patches wrap
        already is left as it is.
        """
        places = (owner,) if isinstance(owner, ModuleType) else owner.__mro__
        definer = next(place for place in places if name in vars(place))
        original = vars(definer)[name]
        place = owner if isinstance(definer, type) and definer.__flags__ & _IMMUTABLE else definer
        if (place, name) not in self._patches:
            patch = self._patches[place, name] = _Patch(place, name, original, wrapper)
            self._undo.append(patch.undo)

    def on_undo(self, action: Callable[[], object]) -> None:
        """Have :meth:`undo` call ``action``, once, in its turn: what was put on last is undone first."""
        if action not in self._undo:
            self._undo.append(action)

    def __contains__(self, patch: tuple[type | ModuleType, str]) -> bool:
        """Whether these patches wrap the function of that name in that class or module."""
        return patch in self._patches

    def undo(self) -> None:
        """Put back every original, classmethods as classmethods.

        A wrapper that somebody else has wrapped since cannot be taken out; it stays, and passes each call through.
        """
        self._patches.clear()
        while self._undo:
            self._undo.pop()()


class _Patch:
    def __init__(self, owner: type | ModuleType, name: str, original: Any, wrapper: Wrapper) -> None:
        self._owner, self._name = owner, name
        self._original = original
        self._is_own = name in vars(owner)
        self._is_active = True
        self._wrapped = wrapt.FunctionWrapper(self._original, wrapper, enabled=lambda: self._is_active)
        setattr(owner, name, self._wrapped)

    def undo(self) -> None:
        self._is_active = False
        if vars(self._owner).get(self._name) is not self._wrapped:
            return
        if self._is_own:
            setattr(self._owner, self._name, self._original)
        else:
            delattr(self._owner, self._name)
