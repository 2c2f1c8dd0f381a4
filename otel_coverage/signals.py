"""Signals that would end this process, and exceptions that handlers of signals raise."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType


@contextmanager
def delayed(*numbers: signal.Signals) -> Iterator[None]:
    """Let them wait until the block has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    received: list[int] = []
    before = {}
    try:
        for number in numbers:
            before[number] = signal.signal(number, lambda number, frame: received.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def is_raised_by_handler(error: BaseException) -> bool:
    """Whether a handler of a signal raised it, wherever that interrupted the main thread.

    Such an exception is meant for the application: RQ ends jobs by one whose time is up, and idle workers.
    """
    handlers = {_code(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in handlers:
            return True
        traceback = traceback.tb_next
    return False


def _code(handler: object) -> CodeType | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    if not hasattr(handler, "__code__") and not hasattr(handler, "__func__"):
        handler = vars(type(handler)).get("__call__")  # an object that is called
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    return code if isinstance(code, CodeType) else None
