"""Whether the worker has done everything that there is to do, jobs of jobs included."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from otel_coverage.demo.processes import ProcessError

if TYPE_CHECKING:
    from redis import Redis

DONE = "finished"
BROKEN = ("failed", "stopped", "canceled")

_PAUSE = 0.05


def wait_until_done(redis_url: str, timeout: float, check: Callable[[], None]) -> int:
    """Wait until every job that Redis knows is finished.

    The jobs' own states are read rather than queues and registries: on its way from one to the next a job stands in
    none of them.

    Args:
        redis_url: where RQ keeps its jobs.
        timeout: seconds.
        check: called while waiting; raises when waiting has become pointless.

    Returns:
        How many jobs there were.

    Raises:
        ProcessError: a job failed, or they took longer.
    """
    from redis import Redis

    deadline = time.monotonic() + timeout
    with Redis.from_url(redis_url) as connection:
        while True:
            states = _states(connection)
            broken = sorted(state for state in states if state in BROKEN)
            if broken:
                raise ProcessError(f"{states[broken[0]]} of the worker's jobs {broken[0]}")
            if not states.keys() - {DONE}:
                return states[DONE]
            check()
            if time.monotonic() > deadline:
                raise ProcessError(
                    f"after {timeout:g} s there are still jobs {', '.join(sorted(states.keys() - {DONE}))}"
                )
            time.sleep(_PAUSE)


def _states(connection: Redis) -> Counter[str]:
    """How many jobs are in each state."""
    found: Counter[str] = Counter()
    for key in connection.scan_iter("rq:job:*", _type="HASH"):
        state = cast("bytes | None", connection.hget(key, "status"))
        if state is not None:
            found[state.decode()] += 1
    return found
