"""The table ``code_symbols``: the store's copy of a revision's catalog."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from otel_coverage.catalog.catalog import Catalog, CatalogSymbol
from otel_coverage.catalog.drift import Executed
from otel_coverage.errors import ConfigurationError, OtelCoverageError
from otel_coverage.symbols import Symbol

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
    pushed_at = max(datetime.now(timezone.utc), newest + timedelta(microseconds=1))
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


def revision_in(store: Store, name: str, namespace: str = "") -> str:
    """The store's revision that a name means.

    Raises:
        ConfigurationError: the store has nothing of it, neither a catalog nor a run.
    """
    from otel_coverage.store.known_names import checked

    return str(checked(store, {"namespace": namespace, "revision": name})["revision"])


def stored(store: Store, revision: str, namespace: str = "") -> Catalog:
    """The catalog of a revision, as it was pushed last: without files, errors, decorators and excluded symbols.

    Raises:
        ConfigurationError: none was pushed.
        StoreError: the engine refuses.
    """
    rows = store.query(
        "SELECT toString(module), qualname, line, toString(kind), toString(file), end_line, parent, executable_lines,"
        " digest FROM symbol_catalog WHERE namespace = {namespace:String} AND revision = {revision:String}"
        " ORDER BY module, line, qualname",
        {"namespace": namespace, "revision": revision},
    ).rows
    if not rows:
        raise ConfigurationError(
            f"{store.dsn}: no catalog of revision {revision!r}; "
            f"`otel-coverage catalog push --revision {revision}` stores one"
        )
    return Catalog(
        symbols=tuple(
            CatalogSymbol(Symbol(module, qualname, line), kind, file, end_line, tuple(lines), parent, digest)
            for module, qualname, line, kind, file, end_line, parent, lines, digest in rows
        ),
        files=(),
        errors=(),
    )


def executed(store: Store, revision: str, namespace: str = "") -> list[Executed]:
    """The functions that profiles have executed at a revision.

    Raises:
        StoreError: the engine refuses.
    """
    rows = store.query(
        "SELECT toString(module), qualname, line, profiles, exemplar_trace_id FROM symbol_profiles"
        " WHERE namespace = {namespace:String} AND revision = {revision:String} ORDER BY module, line, qualname",
        {"namespace": namespace, "revision": revision},
    ).rows
    return [
        Executed(Symbol(module, qualname, line), tuple(profiles), trace)
        for module, qualname, line, profiles, trace in rows
    ]


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
