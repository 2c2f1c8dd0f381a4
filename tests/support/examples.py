"""How many examples tests of properties draw."""

from __future__ import annotations

import os

_FACTOR = int(os.environ.get("EXAMPLES", "1"))


def examples(number: int) -> int:
    """So many, times the environment variable ``EXAMPLES``, which is for changes of what the test is about."""
    return number * _FACTOR
