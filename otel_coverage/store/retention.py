"""How long data is kept: TTLs, and pruning by revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otel_coverage.errors import ConfigurationError
from otel_coverage.store.schema import layout_of
from otel_coverage.store.store import Store

MOST = 10_000  # days: more would overflow DateTime, which a TTL is computed in

# the column that the age of a table's rows is computed from
_COVERAGE = {
    "coverage_spans": "started",
    "coverage_functions": "last_seen",
    "coverage_lines": "last_seen",
    "coverage_arcs": "last_seen",
    "coverage_by_symbol": "last_seen",
    "coverage_entry_points": "last_seen",
    "coverage_entry_point_lines": "last_seen",
    "coverage_runs": "last_seen",
    "coverage_startup": "last_seen",
    "coverage_unassigned": "started",
    "coverage_run_doubts": "written",
    "code_symbols": "pushed_at",
    "code_routes": "last_seen",
}
# those of runs, which have no revision
_RUNS = {"coverage_run_windows": "at", "coverage_assignments": "ended"}


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that has coverage or a catalog in the store.

    Attributes:
        namespace: the services that share one source tree.
        name: the revision.
        days: since its last span; where it has none, since its catalog was pushed.
    """

    namespace: str
    name: str
    days: int


def keep(store: Store, *, spans: int | None = None, coverage: int | None = None) -> None:
    """Set the TTLs of the tables.

    Args:
        store: one that the schema was applied to.
        spans: days for the raw spans; 0 for no TTL, None to leave it as it is.
        coverage: the same for the coverage tables and catalogs, which outlive the spans that they came from.

    Raises:
        ConfigurationError: more than :data:`MOST` days.
        StoreError: no schema was applied, or the engine refuses.
    """
    layout = layout_of(store)
    if spans is not None:
        _keep(store, layout.traces, layout.everywhere, "Timestamp", spans)
    if coverage is not None:
        for table, column in {**_COVERAGE, **_RUNS}.items():
            _keep(store, layout.local(table), layout.everywhere, column, coverage)


def revisions(store: Store) -> list[Revision]:
    """All revisions, the newest first."""
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
    """Delete the coverage and the catalogs of some revisions; raw spans stay until their TTL.

    The playback client's spans have no revision, nor have windows: those of a run are deleted with the last revision
    that the run was recorded at.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
    """
    layout = layout_of(store)
    of_this = "namespace = {namespace:String} AND revision = {revision:String}"
    runs = layout.local("coverage_runs")
    played = f"(profile, run) IN (SELECT profile, run FROM {runs} WHERE {of_this})"  # noqa: S608 - our own names
    others = f"SELECT profile, run FROM {runs} WHERE revision NOT IN ('', {{revision:String}})"  # noqa: S608
    client = {"coverage_spans": "role IN ('', 'client')", "coverage_runs": "NOT (recorded OR covered)"}
    for revision in chosen:
        bound = {"namespace": revision.namespace, "revision": revision.name}
        for table, which in client.items():
            where = f"revision = '' AND {which} AND {played} AND (profile, run) NOT IN ({others})"
            store.command(f"DELETE FROM {layout.local(table)}{layout.everywhere} WHERE {where}", bound)  # noqa: S608
        for table in _RUNS:
            where = f"{played} AND (profile, run) NOT IN ({others})"
            store.command(f"DELETE FROM {layout.local(table)}{layout.everywhere} WHERE {where}", bound)  # noqa: S608
        for table in _COVERAGE:
            store.command(f"DELETE FROM {layout.local(table)}{layout.everywhere} WHERE {of_this}", bound)  # noqa: S608


def _keep(store: Store, table: str, everywhere: str, column: str, days: int) -> None:
    if not 0 <= days <= MOST:
        raise ConfigurationError(
            f"{days} days: ClickHouse's times end in 2106; keep data for at most {MOST} days, or 0 for ever"
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
