"""What only Python 3.11 and later can write, or run: before, a handler ran in the profile function of the oracle."""

import signal
import threading


def short(n): return n + 1


def raises(n):
    if n % 2:
        raise ValueError(n)
    return n


def chained(n):
    try:
        try:
            raises(1)
        except ValueError as error:
            raise LookupError(n) from error
    except* LookupError:
        n = short(n)
    return n


def signals(n):
    if threading.current_thread() is not threading.main_thread():
        return on_signal(n, None)
    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        if n % 2:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    return None


def on_signal(number, frame):
    short(number)
