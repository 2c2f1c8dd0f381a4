"""Forked children start clean: no recording of the parent goes on in them."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What has to forget something in a forked child."""

    def after_fork_in_child(self) -> None:
        """Forget it. No other thread runs; locks may be held by threads that are no more."""
        ...


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()


def forget_in_children(forkable: Forkable) -> None:
    """Call the object in every forked child from now on, for as long as it is alive."""
    _forkables.add(forkable)


def _after_fork_in_child() -> None:
    for forkable in list(_forkables):
        forkable.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
