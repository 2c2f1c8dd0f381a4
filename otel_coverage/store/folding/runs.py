"""Inserts traces under their runs, and deletes what the tables have of runs that they have left."""
# ruff: noqa: S608 - names of our own; values are bound

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from otel_coverage.store.folding.assignment import (
    ASSIGNMENTS,
    FINGERPRINTS,
    FORGOTTEN_DAYS,
    SECOND,
    SETTLED_DAYS,
    UNASSIGNED,
    Placed,
    concerned,
    found_traces,
)
from otel_coverage.store.folding.doubts import TABLE as DOUBTS
from otel_coverage.store.folding.doubts import Doubted, write_doubts
from otel_coverage.store.folding.settings import FoldSettings
from otel_coverage.store.layout import Layout
from otel_coverage.store.schema import layout_of
from otel_coverage.store.store import Store

_BATCH = 4_000  # traces that are inserted at a time: memory, as for a backfill

# what is derived from spans, by run; the inverted index holds all profiles of a run in one row
_OF_PROFILE = (
    "coverage_spans",
    "coverage_functions",
    "coverage_lines",
    "coverage_arcs",
    "coverage_entry_point_lines",
    "coverage_runs",
)
_INDEX = "coverage_by_symbol"
_ENTRY_POINTS = "coverage_entry_points"  # holds them in one row, too


@dataclass(frozen=True, slots=True)
class Folded:
    """What was put into runs.

    Attributes:
        traces: how many, those included whose run has changed.
        runs: their run ids, sorted.
    """

    traces: int
    runs: tuple[str, ...]


def fold(store: Store) -> Folded:
    """Put each trace without a run id into its run.

    It may be interrupted, repeated, and done by several processes at once: the tables are the same afterwards.

    Args:
        store: one that the schema was applied to.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
        UnreachableError: the server does not answer.
    """
    if not store.query(f"SELECT 1 FROM {UNASSIGNED} LIMIT 1").rows:
        return Folded(0, ())
    settings = FoldSettings.of(store)
    fingerprints = {
        profile: (found if profile else f"{found} {settings}", folded)
        for profile, found, folded in store.query(FINGERPRINTS).rows
    }
    changed = {profile: found for profile, (found, folded) in fingerprints.items() if found != folded}
    if not changed:
        return Folded(0, ())
    layout, profiles = layout_of(store), concerned(store, changed)
    found = found_traces(store, settings, profiles)
    if profiles and any(each.evidence == "gap" for each in found):
        profiles = []
        found = found_traces(store, settings, profiles)
    left = {(each.profile, each.former) for each in found if each.is_changed and each.former not in ("", each.run)}
    if left:
        _delete(store, layout, left)
        # asked after that, so that nothing which came is forgotten
        found = found_traces(store, settings, profiles, left)
    placed = [each for each in found if each.is_changed]
    # those that have left a run are written down last: until then, another attempt repeats all of this
    for group in ([each for each in placed if not each.former], [each for each in placed if each.former]):
        for start in range(0, len(group), _BATCH):
            _insert(store, group[start : start + _BATCH])
    if left:
        _index(store, layout, {run for _, run in left})
    _write(store, [each for each in placed if each.former])
    doubted = [Doubted(each.profile, each.run, each.doubted, each.began, each.trace) for each in found if each.doubted]
    write_doubts(store, doubted, profiles, settings.gap * SECOND)
    _drop_settled(store, layout)
    # as of before, so that nothing is passed over
    store.insert(
        DOUBTS, ("profile", "reason", "detail"), [(profile, "folded", state) for profile, state in changed.items()]
    )
    return Folded(len(placed), tuple(sorted({each.run for each in placed})))


def _insert(store: Store, placed: Sequence[Placed]) -> None:
    parameters = {
        "profiles": sorted({each.profile for each in placed}),
        "traces": [each.trace for each in placed],
        "keys": [f"{each.trace} {each.profile}" for each in placed],
        "runs": [each.run for each in placed],
        "evidence": [each.evidence for each in placed],
    }
    store.command(
        f"INSERT INTO coverage_intake SELECT * REPLACE ("
        "transform(concat(trace, ' ', profile), {keys:Array(String)}, {runs:Array(String)}, '') AS run,"
        "transform(concat(trace, ' ', profile), {keys:Array(String)}, {evidence:Array(String)}, '') AS evidence,"
        " 0 AS number)"
        f" FROM {UNASSIGNED} WHERE profile IN {{profiles:Array(String)}} AND trace IN {{traces:Array(String)}}"
        " AND concat(trace, ' ', profile) IN {keys:Array(String)} AND role != 'counts'",
        parameters,
    )
    _write(store, [each for each in placed if not each.former])


def _write(store: Store, placed: Sequence[Placed]) -> None:
    """Write down that these traces are in the tables."""
    columns = ("profile", "trace", "run", "evidence", "began", "ended", "digest")
    store.insert(ASSIGNMENTS, columns, [each[:7] for each in placed])


def _delete(store: Store, layout: Layout, runs: Collection[tuple[str, str]]) -> None:
    """Delete what the tables have of profiles in runs, as far as it came from here."""
    for profile, run in sorted(runs):
        bound = {"profile": profile, "run": run}
        for table in _OF_PROFILE:
            ours = " AND (recorded OR covered)" if table == "coverage_runs" else ""
            store.command(
                f"DELETE FROM {layout.local(table)}{layout.everywhere}"
                f" WHERE profile = {{profile:String}} AND run = {{run:String}}{ours}",
                bound,
            )
        store.command(
            f"ALTER TABLE {layout.local(_ENTRY_POINTS)}{layout.everywhere}"
            " UPDATE profiles = arrayFilter(each -> each != {profile:String}, profiles)"
            " WHERE run = {run:String} AND has(profiles, {profile:String}) SETTINGS mutations_sync = 2",
            bound,
        )


def _index(store: Store, layout: Layout, runs: Collection[str]) -> None:
    """Derive the inverted index of runs anew, from their functions."""
    for run in sorted(runs):
        store.command(f"DELETE FROM {layout.local(_INDEX)}{layout.everywhere} WHERE run = {{run:String}}", {"run": run})
        store.command(
            f"INSERT INTO {layout.local(_INDEX)} SELECT namespace, revision, module, qualname, line, run,"
            " groupUniqArray(toString(f.profile)), min(f.first_seen), max(f.last_seen), min(f.exemplar_trace_id)"
            f" FROM {layout.local('coverage_functions')} AS f WHERE run = {{run:String}} GROUP BY ALL",
            {"run": run},
        )


def _drop_settled(store: Store, layout: Layout) -> None:
    """Drop spans whose run nothing will change any more, and after a while the runs of their traces."""
    settled = (
        f"(profile, trace) IN (SELECT profile, trace FROM {ASSIGNMENTS} GROUP BY profile, trace"
        f" HAVING max(written) < now64(6) - toIntervalDay({SETTLED_DAYS}))"
    )
    old = {
        UNASSIGNED: settled,
        ASSIGNMENTS: f"written < now64(6) - toIntervalDay({FORGOTTEN_DAYS})",
    }
    for table, where in old.items():
        if store.query(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1").rows:
            local = where.replace(f"FROM {ASSIGNMENTS}", f"FROM {layout.local(ASSIGNMENTS)}")
            store.command(f"DELETE FROM {layout.local(table)}{layout.everywhere} WHERE {local}")
