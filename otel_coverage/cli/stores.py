"""The store of a command: commands have an embedded one open one after the other."""

from __future__ import annotations

from otel_coverage.store import Store
from otel_coverage.store import store as opening


def open_store(dsn: str, *, create: bool = False, read_only: bool = False, via_collector: bool = False) -> Store:
    """Open the store at an address until the command is done with it: see :func:`otel_coverage.store.open_store`."""
    return opening.open_store(dsn, create=create, read_only=read_only, via_collector=via_collector, keep_turn=True)
