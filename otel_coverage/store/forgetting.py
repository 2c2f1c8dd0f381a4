"""One bad run taken out of a store: its rows are deleted, and what arrives of it later does not count."""
# ruff: noqa: S608 - names of our own; values are bound

from __future__ import annotations

import socket
from collections.abc import Callable

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import schema, windows
from otel_coverage.store.layout import Layout
from otel_coverage.store.schema import layout_of
from otel_coverage.store.store import Result, Store
from otel_coverage.suggestions import suggestion

KIND = "forgotten"
"""Of a row of ``coverage_run_windows``: the run was taken out at that time, all of its profiles."""

TABLES = (
    "coverage_functions",
    "coverage_by_symbol",
    "coverage_lines",
    "coverage_arcs",
    "coverage_entry_points",
    "coverage_entry_point_lines",
    "coverage_run_doubts",
    "coverage_assignments",
    "coverage_spans",
    "coverage_runs",
)
"""Whose rows name the run, in the order of deletion: what says which traces and runs there are goes last, so that an
interrupted deletion can be repeated."""
_TRACES_AT_ONCE = 200  # of a statement's parameter, which travels in a URL

_PROFILES = """
SELECT profile, revision, outcome, requests, jobs, first_seen
FROM profile_runs
WHERE run = {run:String}
ORDER BY profile, revision, first_seen
"""
_KNOWN = "SELECT DISTINCT run FROM coverage_runs WHERE run != '' ORDER BY run"
_NEWEST = """
SELECT toUnixTimestamp64Micro(greatest(now64(6, 'UTC'), toDateTime64(max(r.last_seen), 6, 'UTC')))
FROM coverage_runs AS r
WHERE run = {run:String}
"""
_TRACES = "SELECT DISTINCT trace FROM coverage_assignments WHERE run = {run:String} ORDER BY trace"


def deletions(layout: Layout) -> tuple[str, ...]:
    """The statements that delete the rows of a run, in order."""
    return tuple(f"DELETE FROM {layout.local(table)}{layout.everywhere} WHERE run = {{run:String}}" for table in TABLES)


def deletion_of_unassigned(layout: Layout) -> str:
    """The statement that deletes spans which came without the run id, of some traces that were put into the run."""
    table = layout.local("coverage_unassigned") + layout.everywhere
    return f"DELETE FROM {table} WHERE has({{traces:Array(String)}}, trace)"


def profiles_of(store: Store, run: str) -> Result:
    """What a store holds of a run: its profiles at each revision, with outcome, requests and jobs.

    Raises:
        ConfigurationError: it holds nothing of that run.
        StoreError: no schema was applied, or the engine refuses.
    """
    schema.check(store)
    known = [name for (name,) in store.query(_KNOWN).rows]
    if run not in known:
        raise ConfigurationError(f"{store.dsn}: no run {run!r}; {suggestion(run, known)}")
    return store.query(_PROFILES, {"run": run})


def forget(store: Store, run: str, progress: Callable[[str], object] = lambda _: None) -> None:
    """Delete all rows of a run, but raw spans and its windows: a late request without a run id is still one of it.

    First it is noted that the run does not count any more, so that nothing of it does, whatever interrupts the
    deletion, is delivered again, or is derived once more from raw spans. A run that begins later may have its id.

    Args:
        store: one that the schema of this version was applied to.
        run: its id.
        progress: called with the name of each table before rows of it are deleted.

    Raises:
        StoreError: the engine refuses.
    """
    layout = layout_of(store)
    micros = int(store.query(_NEWEST, {"run": run}).rows[0][0]) + 1
    store.insert(windows.TABLE, windows.COLUMNS, [("", run, KIND, micros, "", socket.gethostname())])
    traces = [trace for (trace,) in store.query(_TRACES, {"run": run}).rows]
    for first in range(0, len(traces), _TRACES_AT_ONCE):
        store.command(deletion_of_unassigned(layout), {"traces": traces[first : first + _TRACES_AT_ONCE]})
    for table, statement in zip(TABLES, deletions(layout), strict=True):
        progress(table)
        store.command(statement, {"run": run})
