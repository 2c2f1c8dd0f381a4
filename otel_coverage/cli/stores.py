"""The store of a command: commands have an embedded one open one after the other."""

from __future__ import annotations

import sys
from threading import Timer

import click

from otel_coverage.store import Dsn, Store
from otel_coverage.store import store as opening
from otel_coverage.store.lock_owner import lock_owner

_QUIET = 1.0  # seconds that nobody wonders about


def open_store(dsn: str, *, create: bool = False, read_only: bool = False, via_collector: bool = False) -> Store:
    """Open the store at an address until the command is done with it: see :func:`otel_coverage.store.open_store`.

    Whoever looks at a terminal meanwhile sees which process is waited for.
    """
    notice = Timer(_QUIET, _say_who_has_it, (dsn,))
    notice.daemon = True
    if sys.stderr.isatty():
        notice.start()
    try:
        return opening.open_store(dsn, create=create, read_only=read_only, via_collector=via_collector, keep_turn=True)
    finally:
        notice.cancel()


def _say_who_has_it(dsn: str) -> None:
    where = Dsn.parse(dsn)
    owner = lock_owner(where.path) if where.kind == "chdb" else None
    if owner is not None:
        click.echo(f"{where}: waiting for {owner}, which has it open", err=True)
