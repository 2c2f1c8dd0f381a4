"""Tables and views: put into a store, in order, as often as one likes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.store.layout import ONE_SERVER, Layout
from otel_coverage.store.sql import SqlFile, sql_files
from otel_coverage.store.store import Store

_VERSIONS = """
CREATE TABLE IF NOT EXISTS coverage_schema (
    name String COMMENT 'file of queries/, without its suffix, or a part of the layout',
    digest String COMMENT 'of the text that was applied, or the name that the layout has for the part',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""

INTAKE = "coverage_intake_mv"  # the one view that stands on otel_traces
_INTAKE_FILE = "schema/0006_coverage_intake"
_READ = {  # the columns of otel_traces that the intake reads, with what their types begin with
    "Timestamp": "DateTime64",
    "TraceId": "",
    "SpanId": "",
    "ParentSpanId": "",
    "SpanName": "",
    "ResourceAttributes": "Map(",
    "SpanAttributes": "Map(",
    "Duration": "",
    "StatusCode": "",
}


def files() -> Iterator[SqlFile]:
    """What makes up the schema, in the order of application: tables first, then views."""
    yield from sql_files("schema")
    yield from sql_files("views")


def apply(store: Store, *, cluster: str | None = None, traces: str | None = None) -> list[str]:
    """Bring a store up to this version's schema.

    Files that the store has not seen, in this text, are run; every statement in them may be run again.

    Args:
        store: the store.
        cluster: the cluster that its tables stand on; None for what the store remembers, or else one server.
        traces: the table that spans land in; None for what the store remembers, or else the usual one.

    Returns:
        The names of the files that were run; empty where nothing was left to do.

    Raises:
        ConfigurationError: the store's tables stand elsewhere.
        StoreError: the engine refuses a statement, or `otel_traces` has no columns that can be read.
    """
    seen = _seen(store)
    layout = _chosen(store, _remembered(seen), cluster, traces)
    _check_traces(store, layout)
    if not seen:
        _run(store, layout, _VERSIONS)
    unseen = [file for file in files() if seen.get(file.title) != _digest(file, layout)]
    for file in unseen:
        for statement in file.statements:
            _run(store, layout, statement)
    news = {file.title: _digest(file, layout) for file in unseen}
    news |= {"layout/traces": layout.traces, "layout/cluster": layout.cluster}
    _remember(store, [(name, value) for name, value in news.items() if seen.get(name) != value])
    return [file.title for file in unseen]


def detach(store: Store) -> bool:
    """Take our view out of the insert path of `otel_traces`; what the coverage tables hold stays.

    Applying the schema puts it back, a backfill catches up.

    Returns:
        Whether there was one.

    Raises:
        StoreError: the engine refuses.
    """
    seen = _seen(store)
    layout = _remembered(seen) or ONE_SERVER
    standing = store.query(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
        {"name": INTAKE},
    ).rows[0][0]
    store.command(f"DROP VIEW IF EXISTS {INTAKE}{layout.everywhere} SYNC")
    if seen:
        _remember(store, [(_INTAKE_FILE, "detached")])
    return bool(standing)


def layout_of(store: Store) -> Layout:
    """Where the store's tables stand, as it was told when the schema was applied.

    Raises:
        StoreError: no schema was applied.
    """
    layout = _remembered(_seen(store))
    if layout is None:
        raise StoreError(f"{store.dsn}: no schema was applied; `otel-coverage schema apply --store {store.dsn}` does")
    return layout


def show(layout: Layout = ONE_SERVER, database: str = "otel") -> str:
    """The whole schema as one SQL script."""
    parts = []
    for file in files():
        if layout == ONE_SERVER:
            text = file.text.strip()
        else:
            rendered = (each for statement in file.statements for each in layout.statements(statement, database))
            text = "\n\n".join(f"{statement.strip()};" for statement in rendered)
        parts.append(f"-- {file.title}.sql\n{text}")
    return "\n\n".join(parts) + "\n"


def _run(store: Store, layout: Layout, statement: str) -> None:
    for each in layout.statements(statement, store.database):
        store.command(each)


def _seen(store: Store) -> dict[str, str]:
    """What was applied, by name; empty for a store that knows nothing of us."""
    known = store.query(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'coverage_schema'"
    ).rows[0][0]
    if not known:
        return {}
    # a cluster's nodes may each have been told
    return dict(store.query("SELECT name, argMax(digest, applied_at) FROM coverage_schema GROUP BY name").rows)


def _remember(store: Store, items: list[tuple[str, str]]) -> None:
    store.insert("coverage_schema", ["name", "digest"], items)


def _remembered(seen: dict[str, str]) -> Layout | None:
    """The layout; a version that had none to choose left nothing but its files."""
    if not seen:
        return None
    return Layout(seen.get("layout/traces", ONE_SERVER.traces), seen.get("layout/cluster", ""))


def _chosen(store: Store, standing: Layout | None, cluster: str | None, traces: str | None) -> Layout:
    if standing is None:
        return Layout.on(cluster or "", traces or "")
    if cluster is not None and cluster != standing.cluster:
        where = f"on the cluster {standing.cluster!r}" if standing.cluster else "on one server"
        raise ConfigurationError(
            f"{store.dsn}: its tables stand {where}: leave --cluster out, or take another database"
        )
    return Layout(traces or standing.traces, standing.cluster)


def _check_traces(store: Store, layout: Layout) -> None:
    """An `otel_traces` that others made has to have its attributes in Maps: one setting of otelcol makes JSON."""
    types = dict(
        store.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": layout.traces},
        ).rows
    )
    for column, kind in _READ.items() if types else ():
        found = types.get(column)
        if found is None or not found.startswith(kind):
            raise StoreError(
                f"{store.dsn}: {layout.traces}.{column} is {found or 'missing'}: the table has to be in otelcol's form"
                " with attributes as Map (its setting json: false); --traces names another"
            )


def _digest(file: SqlFile, layout: Layout) -> str:
    if layout == ONE_SERVER:
        return file.digest
    return hashlib.sha256(f"{layout} {file.text}".encode()).hexdigest()[:16]
