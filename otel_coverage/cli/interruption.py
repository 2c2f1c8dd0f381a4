"""Ctrl-C: a command says what it did and what it did not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from otel_coverage.errors import Interrupted


@contextmanager
def interruptible(state: str | Callable[[], str]) -> Iterator[None]:
    """Name the state that a command is left in when Ctrl-C ends the block.

    Raises:
        Interrupted: on Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(state if isinstance(state, str) else state()) from None
