"""Putting a catalog into the store."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from otel_coverage.catalog.catalog import Catalog
from otel_coverage.errors import OtelCoverageError

if TYPE_CHECKING:
    from otel_coverage.store import Store
    from otel_coverage.store.layout import Layout

COLUMNS = (
    "namespace",
    "revision",
    "module",
    "qualname",
    "line",
    "kind",
    "file",
    "end_line",
    "executable_lines",
    "parent",
    "digest",
    "pushed_at",
)


def push(store: Store, catalog: Catalog, revision: str, namespace: str = "") -> int:
    """Make ``catalog`` the whole catalog of its revision: what an earlier push knew and this one does not, goes.

    What coverage.py is told to exclude stays out of the store, where it would be a gap.

    Returns:
        How many symbols the revision has now.

    Raises:
        StoreError: the store refuses; the earlier catalog then stands as it was.
    """
    from otel_coverage.store.schema import layout_of  # here, since building a catalog needs no store

    delete = deletion(layout_of(store))
    key = {"namespace": namespace, "revision": revision}
    newest = store.query(
        "SELECT max(pushed_at) FROM code_symbols WHERE namespace = {namespace:String} AND revision = {revision:String}",
        key,
    ).rows[0][0]
    # the newest push counts, and clocks of several machines may disagree about which one that is
    pushed_at = max(datetime.now(UTC), newest + timedelta(microseconds=1))
    rows = [
        (
            namespace,
            revision,
            entry.symbol.module,
            entry.symbol.qualname,
            entry.symbol.line,
            entry.kind,
            entry.file,
            entry.end_line,
            list(entry.executable_lines),
            entry.parent,
            entry.digest,
            pushed_at,
        )
        for entry in catalog.symbols
        if not entry.excluded
    ]
    stamp = {**key, "pushed_at": pushed_at.strftime("%Y-%m-%d %H:%M:%S.%f")}
    try:
        store.insert("code_symbols", COLUMNS, rows)
    except BaseException:
        with suppress(OtelCoverageError):  # the first error is the one to tell
            store.command(f"{delete} AND pushed_at = {{pushed_at:DateTime64(6, 'UTC')}}", stamp)
        raise
    store.command(f"{delete} AND pushed_at < {{pushed_at:DateTime64(6, 'UTC')}}", stamp)
    return len(rows)


def deletion(layout: Layout) -> str:
    """The statement that deletes a revision's catalog: on all shards, as a Distributed table has no rows of its own."""
    table = layout.local("code_symbols") + layout.everywhere
    return f"DELETE FROM {table} WHERE namespace = {{namespace:String}} AND revision = {{revision:String}}"  # noqa: S608
