"""What several parts need of coverage.py, beside its own interface."""

from __future__ import annotations

import coverage


def close_data(data: coverage.CoverageData) -> None:
    """Close the database behind ``data``; older releases of coverage.py leave that to the garbage collector."""
    close = getattr(data, "close", None)
    if close is not None:
        close(force=True)
