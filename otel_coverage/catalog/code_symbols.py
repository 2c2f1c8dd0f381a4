"""The table ``code_symbols``: the store's copy of a revision's catalog."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from otel_coverage.catalog.catalog import Catalog
from otel_coverage.errors import OtelCoverageError

if TYPE_CHECKING:
    from otel_coverage.store import Store
    from otel_coverage.store.layout import Layout

TABLE = "code_symbols"
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
    """Replace the stored catalog of a revision.

    Symbols that coverage.py's configuration excludes are not stored: they would be reported as gaps.

    Returns:
        The number of stored symbols.

    Raises:
        StoreError: the insert failed; the previous catalog is unchanged.
    """
    from otel_coverage.store.schema import layout_of  # imported here: building a catalog needs no store

    delete_failed, delete_older = replacement_deletions(layout_of(store))
    key = {"namespace": namespace, "revision": revision}
    newest = store.query(
        "SELECT max(pushed_at) FROM code_symbols WHERE namespace = {namespace:String} AND revision = {revision:String}",
        key,
    ).rows[0][0]
    # the newest push wins, also when the clock of another machine was ahead
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
        store.insert(TABLE, COLUMNS, rows)
    except BaseException:
        with suppress(OtelCoverageError):  # report the first error
            store.command(delete_failed, stamp)
        raise
    store.command(delete_older, stamp)
    return len(rows)


def replacement_deletions(layout: Layout) -> tuple[str, str]:
    """The statements that delete what a failed push wrote, and what a successful one replaced."""
    delete = deletion(layout)
    return (
        f"{delete} AND pushed_at = {{pushed_at:DateTime64(6, 'UTC')}}",
        f"{delete} AND pushed_at < {{pushed_at:DateTime64(6, 'UTC')}}",
    )


def deletion(layout: Layout) -> str:
    """The statement that deletes a revision's catalog, on all shards: a Distributed table has no rows of its own."""
    table = layout.local(TABLE) + layout.everywhere
    return f"DELETE FROM {table} WHERE namespace = {{namespace:String}} AND revision = {{revision:String}}"  # noqa: S608
