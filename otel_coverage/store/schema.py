"""Applying the schema: tables once, in order; views whenever their SQL differs from what was applied.

A table file that was applied does not change: a later version adds files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.store.layout import ONE_SERVER, PER_NODE, TRACES, Layout
from otel_coverage.store.sql_files import SqlFile, sql_files
from otel_coverage.store.store import Store

_VERSIONS = """
CREATE TABLE IF NOT EXISTS coverage_schema (
    name String COMMENT 'file of queries/, without its suffix, or a part of the layout',
    digest String COMMENT 'checksum of the file that was applied, or the value of the part of the layout',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""

_ROLE = """\
-- A role that may read coverage and change nothing, for dashboards and reports; it may not read raw spans. Run this in
-- the store's database as a user who may manage access, on a cluster with ON CLUSTER after each name; then
-- GRANT coverage_reader TO each reader. Views run with the rights of who queries them, so tables are granted too.
CREATE ROLE IF NOT EXISTS coverage_reader;

"""

INTAKE = "coverage_intake_mv"  # the one view on otel_traces
_INTAKE_FILE = "views/0001_materialized_views"
_TABLES = "schema"
_READ = {  # the columns of otel_traces that the intake reads, with the beginning of their types
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
    """The files of the schema in the order of application: tables first, then views."""
    yield from sql_files(_TABLES)
    yield from sql_files("views")


def tables() -> list[str]:
    """The names of the tables, in the order of creation."""
    return [
        name
        for file in sql_files(_TABLES)
        for name in re.findall(r"^CREATE TABLE IF NOT EXISTS (\w+)", file.text, re.MULTILINE)
    ]


def digests() -> dict[str, str]:
    """The checksum of each file that creates tables, by title."""
    return {file.title: file.digest for file in sql_files(_TABLES)}


def check(store: Store) -> None:
    """Check that a store has this version's tables.

    Raises:
        StoreError: no schema was applied, or another version's was.
    """
    layout_of(store)
    _check_tables(store, _seen(store))


def apply(store: Store, *, cluster: str | None = None, traces: str | None = None) -> list[str]:
    """Create the tables that a store lacks and the views that differ from this version's.

    Args:
        store: the store.
        cluster: the cluster to create the tables on; None for the one that the store was created on, if any.
        traces: the table that spans are inserted into; None for the one applied before, or else the default.

    Returns:
        The names of the files that were run; empty where nothing was left to do.

    Raises:
        ConfigurationError: the store was created on another cluster, or on one server.
        StoreError: another version created the store's tables, the engine refuses a statement, or `otel_traces` does
            not have the columns that are read.
    """
    seen = _seen(store)
    _check_tables(store, seen)
    before = _layout(seen)
    layout = _chosen(store, before, cluster, traces)
    _check_traces(store, layout)
    if not seen:
        _run(store, layout, _VERSIONS)
    pending = [file for file in files() if seen.get(file.title) != file.digest or layout != before]
    for file in pending:
        for statement in file.statements:
            _run(store, layout, statement)
    news = {file.title: file.digest for file in pending}
    news |= {"layout/traces": layout.traces, "layout/cluster": layout.cluster}
    _remember(store, [(name, value) for name, value in news.items() if seen.get(name) != value])
    return [file.title for file in pending]


def detach(store: Store) -> bool:
    """Drop our view on `otel_traces`, so that inserts no longer run it; what the coverage tables hold stays.

    Applying the schema creates it again, a backfill derives what was inserted meanwhile.

    Returns:
        Whether there was one.

    Raises:
        StoreError: the engine refuses.
    """
    seen = _seen(store)
    layout = _layout(seen) or ONE_SERVER
    exists = store.query(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
        {"name": INTAKE},
    ).rows[0][0]
    store.command(f"DROP VIEW IF EXISTS {INTAKE}{layout.everywhere} SYNC")
    if seen:
        _remember(store, [(_INTAKE_FILE, "detached")])
    return bool(exists)


def layout_of(store: Store) -> Layout:
    """Where the store's tables are, as recorded when the schema was applied.

    Raises:
        StoreError: no schema was applied.
    """
    layout = _layout(_seen(store))
    if layout is None:
        raise StoreError(f"{store.dsn}: no schema was applied; run `otel-coverage schema apply --store {store.dsn}`")
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


def access() -> str:
    """The SQL that creates a role for readers: it may read coverage, and neither raw spans nor change anything."""
    names = [
        found
        for file in files()
        for found in re.findall(r"^CREATE (?:TABLE IF NOT EXISTS|OR REPLACE VIEW) (\w+)", file.text, re.MULTILINE)
        if found not in (TRACES, PER_NODE)
    ]
    return _ROLE + "".join(f"GRANT SELECT ON {name} TO coverage_reader;\n" for name in names)


def _run(store: Store, layout: Layout, statement: str) -> None:
    for each in layout.statements(statement, store.database):
        store.command(each)


def _seen(store: Store) -> dict[str, str]:
    """What was applied, by name; empty for a store without our schema."""
    known = store.query(
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'coverage_schema'"
    ).rows[0][0]
    if not known:
        return {}
    # each node of a cluster may have a row
    return dict(store.query("SELECT name, argMax(digest, applied_at) FROM coverage_schema GROUP BY name").rows)


def _remember(store: Store, items: list[tuple[str, str]]) -> None:
    store.insert("coverage_schema", ["name", "digest"], items)


def _check_tables(store: Store, seen: dict[str, str]) -> None:
    """Table files are applied once: one that is unknown, or was applied with another text, is another version's."""
    known = digests()
    for title, digest in sorted(seen.items()):
        if title.startswith(f"{_TABLES}/") and known.get(title) != digest:
            raise StoreError(
                f"{store.dsn}: another version of otel-coverage created its tables ({title} differs), and tables are"
                " not upgraded: create a new store, by another folder or database name"
            )


def _layout(seen: dict[str, str]) -> Layout | None:
    return Layout(seen["layout/traces"], seen["layout/cluster"]) if "layout/traces" in seen else None


def _chosen(store: Store, before: Layout | None, cluster: str | None, traces: str | None) -> Layout:
    if before is None:
        return Layout.on(cluster or "", traces or "")
    if cluster is not None and cluster != before.cluster:
        where = f"on the cluster {before.cluster!r}" if before.cluster else "on one server"
        raise ConfigurationError(f"{store.dsn}: its tables are {where}: omit --cluster, or use another database")
    return Layout(traces or before.traces, before.cluster)


def _check_traces(store: Store, layout: Layout) -> None:
    """Attributes have to be Maps in an `otel_traces` that others created: a setting of otelcol makes them JSON."""
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
                f"{store.dsn}: {layout.traces}.{column} is {found or 'missing'}: the table has to be as otelcol creates"
                " it with attributes as Map (its setting json: false); --traces names another table"
            )
