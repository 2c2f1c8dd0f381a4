"""How long things are kept: by themselves, or until somebody prunes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otel_coverage.errors import ConfigurationError
from otel_coverage.store.schema import layout_of
from otel_coverage.store.store import Store

MOST = 10_000  # days: beyond, a TTL passes the end of DateTime and comes out in 1970

# by which column a table's rows grow old
_COVERAGE = {
    "coverage_spans": "started",
    "coverage_functions": "last_seen",
    "coverage_lines": "last_seen",
    "coverage_arcs": "last_seen",
    "coverage_reach": "last_seen",
    "coverage_runs": "last_seen",
    "code_symbols": "pushed_at",
}


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that the store knows.

    Attributes:
        namespace: the services that share one source tree.
        name: the revision.
        days: since its last span, or where it has none, since its catalog was pushed.
    """

    namespace: str
    name: str
    days: int


def keep(store: Store, *, spans: int | None = None, coverage: int | None = None) -> None:
    """Have the engine drop what is older than some days, from now on.

    Args:
        store: one that the schema was applied to.
        spans: days for the raw spans, 0 for ever; None leaves it as it is.
        coverage: the same for the coverage tables and catalogs, which outlive the spans that they came from. Tables
            that a later version added are kept as long as the others, None or not.

    Raises:
        ConfigurationError: that is more days than the engine can count.
        StoreError: no schema was applied, or the engine refuses.
    """
    layout = layout_of(store)
    if spans is not None:
        _keep(store, layout.traces, layout.everywhere, "Timestamp", spans)
    usual = _kept(store, layout.local("coverage_functions"))
    for table, column in _COVERAGE.items():
        if coverage is not None:
            _keep(store, layout.local(table), layout.everywhere, column, coverage)
        elif usual and not _kept(store, layout.local(table)):
            _keep(store, layout.local(table), layout.everywhere, column, usual)


def revisions(store: Store) -> list[Revision]:
    """All that have coverage or a catalog, the newest first."""
    return [
        Revision(*row)
        for row in store.query(
            "SELECT toString(namespace), toString(revision), dateDiff('day', max(newest), now('UTC')) AS days FROM ("
            " SELECT namespace, revision, max(last_seen) AS newest FROM coverage_runs GROUP BY namespace, revision"
            " UNION ALL"
            " SELECT namespace, revision, max(pushed_at) FROM code_symbols GROUP BY namespace, revision"
            ") WHERE revision != '' GROUP BY namespace, revision ORDER BY days, namespace, revision"
        ).rows
    ]


def prune(store: Store, chosen: Sequence[Revision]) -> None:
    """Forget the coverage and the catalogs of some revisions; raw spans stay until their own time has come.

    The playback client's spans belong to no revision. Those of a run go with the last revision that the run was
    recorded at.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
    """
    layout = layout_of(store)
    of_this = "namespace = {namespace:String} AND revision = {revision:String}"
    runs = layout.local("coverage_runs")
    played = f"(profile, run) IN (SELECT profile, run FROM {runs} WHERE {of_this})"  # noqa: S608 - our own names
    others = f"SELECT profile, run FROM {runs} WHERE revision NOT IN ('', {{revision:String}})"  # noqa: S608
    client = {"coverage_spans": "role IN ('', 'client')", "coverage_runs": "NOT recorded"}
    for revision in chosen:
        bound = {"namespace": revision.namespace, "revision": revision.name}
        for table, which in client.items():
            where = f"revision = '' AND {which} AND {played} AND (profile, run) NOT IN ({others})"
            store.command(f"DELETE FROM {layout.local(table)}{layout.everywhere} WHERE {where}", bound)  # noqa: S608
        for table in _COVERAGE:
            store.command(f"DELETE FROM {layout.local(table)}{layout.everywhere} WHERE {of_this}", bound)  # noqa: S608


def _kept(store: Store, table: str) -> int:
    """For how many days; 0 for ever."""
    rows = store.query(
        "SELECT toUInt32OrZero(extract(create_table_query, '\\\\sTTL\\\\s.*toIntervalDay\\\\((\\\\d+)\\\\)'))"
        " FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    ).rows
    return int(rows[0][0]) if rows else 0


def _keep(store: Store, table: str, everywhere: str, column: str, days: int) -> None:
    if not 0 <= days <= MOST:
        raise ConfigurationError(
            f"{days} days: the engine's times end in 2106, so keep things for 0 (for ever) to {MOST}"
        )
    if days:
        store.command(f"ALTER TABLE {table}{everywhere} MODIFY TTL toDateTime({column}) + toIntervalDay({int(days)})")
        return
    has_ttl = store.query(
        "SELECT match(create_table_query, '\\\\sTTL\\\\s') FROM system.tables"
        " WHERE database = currentDatabase() AND name = {table:String}",
        {"table": table},
    ).rows
    if has_ttl and has_ttl[0][0]:
        store.command(f"ALTER TABLE {table}{everywhere} REMOVE TTL")
