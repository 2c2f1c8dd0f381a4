"""glibc's allocator, made to give memory back."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_ARENA_MAX, _MMAP_THRESHOLD = -8, -3  # <malloc.h>
_ARENAS = 2
_MMAPPED_BYTES = 128 * 1024  # allocations of this size and more


def return_large_blocks() -> None:
    """Have large blocks mapped, each of its own, and unmapped when they are freed; before any thread is started.

    By default glibc takes freed ones of up to 32 MiB for later use, in up to eight heaps for each processor: a process
    whose threads hold a few messages of 30 MiB at a time then grows by a gigabyte. Other allocators are left alone.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _MMAPPED_BYTES)
