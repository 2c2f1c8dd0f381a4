"""Whether what a traced application recorded has arrived in a store, and what of it has not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from otel_coverage.store.store import Store

_DEFERRED_SECONDS = 5.0  # that a job may take to be queued once those are done that it depends on, if it ever is
_DEFER = "defer "  # what the span of a job begins with that depends on others
_FIRST_INTERVAL, _LONGEST_INTERVAL = 0.25, 2.0  # seconds between two attempts

_RECORDED = "SELECT DISTINCT toString(profile) FROM coverage_runs WHERE run = {run:String} AND recorded"
_NOT_ARRIVED = """
SELECT profile, kind, name, count() AS number, max(may_arrive) AS may_arrive
FROM (
    SELECT DISTINCT toString(profile) AS profile, toString(kind) AS kind, toString(name) AS name, trace, span,
        toString(incomplete_reason) != 'killed' AS may_arrive
    FROM run_completeness
    WHERE run = {run:String} AND NOT arrived AND pending = {pending:Bool}
)
GROUP BY profile, kind, name
ORDER BY profile, kind, name
"""
# what goes on, or is on its way: not what is lost, which nobody needs to wait for
_UNFINISHED = """
SELECT profile, kind, name, count() AS number, true AS may_arrive
FROM (
    SELECT DISTINCT toString(profile) AS profile, toString(kind) AS kind, toString(name) AS name, trace, span
    FROM incomplete_entries
    WHERE run = {run:String} AND arrived AND incomplete_reason IN ('not_closed', 'parts_missing')
    UNION DISTINCT
    SELECT toString(profile), toString(kind), toString(name), trace, span FROM uncalled_jobs WHERE run = {run:String}
)
GROUP BY profile, kind, name
ORDER BY profile, kind, name
"""


class MissingCalls(NamedTuple):
    """Requests or jobs of one name of which nothing, or not all, arrived.

    Attributes:
        profile: whose they are.
        kind: ``request``, ``job`` or ``process``.
        name: of the span that called them.
        number: how many.
    """

    profile: str
    kind: str
    name: str
    number: int


class Arrival(NamedTuple):
    """What has arrived of a run.

    Attributes:
        profiles: those of which a request, job or process has arrived.
        missing: requests and jobs that were called, and of which nothing arrived.
        unfinished: requests and jobs that had not ended when they were last heard of, or of which something that is
            known to have been sent has not arrived.
        pending: jobs that wait for their time, or for another job: they were not waited for.
    """

    profiles: frozenset[str]
    missing: tuple[MissingCalls, ...] = ()
    unfinished: tuple[MissingCalls, ...] = ()
    pending: tuple[MissingCalls, ...] = ()


def wait_for_arrival(
    store: Store,
    run: str,
    expected: Iterable[str],
    timeout: float,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Arrival:
    """What has arrived of a run: when all has, or after a while.

    The traces say what is to arrive: an answer to each request of the playback client, a job for each that was queued,
    by whatever job; what goes on after its span has ended. The spans of the jobs that a job has queued are sent before
    its own, so that where nothing is missing nothing is running either, but for jobs that depend on others: those get a
    few seconds to be queued once all else is done. Jobs that wait for their time are not waited for.

    Args:
        store: an open store.
        run: the run's id.
        expected: the profiles.
        timeout: seconds to wait for what has not arrived yet; applications export in intervals, and jobs take time.
        pause: waits so many seconds.

    Raises:
        StoreError: the engine refuses.
        UnreachableError: the server does not answer.
    """
    wanted, deadline, interval = frozenset(expected), time.monotonic() + timeout, _FIRST_INTERVAL
    deferred_until = 0.0
    while True:
        is_late = not time.monotonic() < deadline
        arrived = wanted & {profile for (profile,) in store.query(_RECORDED, {"run": run}).rows}
        if arrived == wanted or is_late:
            missing, may_arrive = _calls(store, _NOT_ARRIVED, run)
            unfinished, _ = _calls(store, _UNFINISHED, run) if is_late or not may_arrive else ((), False)
            if may_arrive or unfinished:
                deferred_until = 0.0
            if is_late or not (may_arrive or unfinished):
                pending, _ = _calls(store, _NOT_ARRIVED, run, pending=True)
                deferred_until = deferred_until or time.monotonic() + _DEFERRED_SECONDS
                is_deferred = any(calls.name.startswith(_DEFER) for calls in pending)
                if is_late or not is_deferred or time.monotonic() >= deferred_until:
                    return Arrival(arrived, missing, unfinished, pending)
        pause(max(min(interval, deadline - time.monotonic()), 0.0))
        interval = min(interval * 1.5, _LONGEST_INTERVAL)


def _calls(store: Store, query: str, run: str, *, pending: bool = False) -> tuple[tuple[MissingCalls, ...], bool]:
    """What a query finds, and whether any of it may still arrive."""
    rows = store.query(query, {"run": run, "pending": pending}).rows
    return tuple(MissingCalls(*row[:4]) for row in rows), any(row[4] for row in rows)
