"""Whether what a traced application recorded has arrived in a store, and what of it has not."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from otel_coverage.store.store import Store

_INTERVAL = 0.5  # seconds between two queries
_RECORDED = "SELECT DISTINCT toString(profile) FROM coverage_runs WHERE run = {run:String} AND recorded"
_MISSING = """
SELECT profile, kind, name, count() AS number
FROM (
    SELECT DISTINCT toString(profile) AS profile, toString(kind) AS kind, toString(name) AS name, trace, span
    FROM run_completeness
    WHERE run = {run:String} AND NOT arrived AND NOT pending
)
GROUP BY profile, kind, name
ORDER BY profile, kind, name
"""


class MissingCalls(NamedTuple):
    """Requests or jobs of one name of which nothing arrived.

    Attributes:
        profile: whose they are.
        kind: ``request`` or ``job``.
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
    """

    profiles: frozenset[str]
    missing: tuple[MissingCalls, ...]


def wait_for_arrival(store: Store, run: str, expected: Iterable[str], timeout: float) -> Arrival:
    """What has arrived of a run: when all has, or after a while.

    Args:
        store: an open store.
        run: the run's id.
        expected: the profiles.
        timeout: seconds to wait for what has not arrived yet; applications export in intervals.

    Raises:
        StoreError: the engine refuses.
        UnreachableError: the server does not answer.
    """
    wanted, deadline = frozenset(expected), time.monotonic() + timeout
    while True:
        is_late = time.monotonic() > deadline
        arrived = wanted & {profile for (profile,) in store.query(_RECORDED, {"run": run}).rows}
        missing: tuple[MissingCalls, ...] = ()
        if arrived == wanted or is_late:
            missing = tuple(MissingCalls(*row) for row in store.query(_MISSING, {"run": run}).rows)
        if is_late or (arrived == wanted and not missing):
            return Arrival(arrived, missing)
        time.sleep(_INTERVAL)
