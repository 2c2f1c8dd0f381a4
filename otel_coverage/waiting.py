"""Waiting until a store has all that profiles set in motion, jobs included, and saying what it lacks then."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from otel_coverage.errors import ConfigurationError
from otel_coverage.printable import counted, listed, printable

if TYPE_CHECKING:
    from otel_coverage.store.arrival import Arrival, MissingCalls

SECONDS = 20.0
"""That what is missing may take by default; exporters wait five until they send what they have."""

_OPEN_SECONDS = 10.0


def arrival_in(dsn: str, run_id: str, profiles: Iterable[str], timeout: float) -> Arrival:
    """What a store has of a run: when it has all, or after a while.

    Args:
        dsn: of the store; while `collect` holds it, that is asked.
        run_id: of the run.
        profiles: those that were played.
        timeout: seconds.

    Raises:
        ConfigurationError: there is nothing here that reads stores, or the DSN is not one.
        StoreError: it cannot be used.
        UnreachableError: nobody answers.
    """
    try:
        from otel_coverage.store import open_store  # playing profiles needs no store
        from otel_coverage.store.arrival import wait_for_arrival
    except ImportError as error:
        raise ConfigurationError("no store can be read here; pip install 'otel-coverage[store]'") from error
    wanted, deadline = frozenset(profiles), time.monotonic() + timeout
    while True:
        left = max(deadline - time.monotonic(), 0.0)
        with open_store(dsn, read_only=True) as store:  # again and again: what came without a run id is folded then
            arrival = wait_for_arrival(store, run_id, wanted, min(left, _OPEN_SECONDS))
        is_whole = arrival.profiles == wanted and not arrival.missing and not arrival.unfinished
        if is_whole or not time.monotonic() < deadline:
            return arrival


def lacking(arrival: Arrival, run_id: str, profiles: Iterable[str], timeout: float) -> Iterator[str]:
    """What a store lacks, a sentence for each cause.

    Args:
        arrival: what it has.
        run_id: of the run.
        profiles: those whose answers said that they were traced.
        timeout: seconds that were waited for it.
    """
    traced = frozenset(profiles)
    lost = traced - arrival.profiles
    if lost:
        yield (
            f"the application traced {listed(sorted(lost))}, and within {timeout:g} s nothing of it arrived "
            "in the store: check the application's OTEL_EXPORTER_OTLP_ENDPOINT, its log, and the collector's"
        )
    missing = [calls for calls in arrival.missing if calls.profile in traced - lost]
    if missing:
        requests = sum(calls.number for calls in missing if calls.kind == "request")
        jobs = sum(calls.number for calls in missing if calls.kind != "request")
        yield (
            f"{counted(requests, 'request')} and {counted(jobs, 'job')} of run {run_id} did not arrive in the "
            f"store within {timeout:g} s: {_names(missing)}; their processes were killed, their spans wait in a spool "
            "(`otel-coverage spool status`), or they run still, and a longer wait is needed: "
            f"`otel-coverage verify --run {run_id} --wait SECONDS` shows each"
        )
    unfinished = [calls for calls in arrival.unfinished if calls.profile in traced - lost]
    if unfinished:
        number = sum(calls.number for calls in unfinished)
        found = counted(number, "request or job", "requests or jobs")
        yield (
            f"{found} of run {run_id} did not arrive whole in the store "
            f"within {timeout:g} s: {_names(unfinished)}; something goes on after the span, as a streamed response or "
            f"a thread does, or a part is on its way: `otel-coverage verify --run {run_id} --wait SECONDS` shows each"
        )


def not_waited_for(arrival: Arrival, run_id: str) -> Iterator[str]:
    """The jobs that nobody waits for, a sentence; nothing of them is missing yet."""
    if arrival.pending:
        number = sum(calls.number for calls in arrival.pending)
        yield (
            f"jobs of run {run_id} that are scheduled for later, or depend on others, were not waited for ({number}): "
            f"{_names(arrival.pending)}; what they execute counts when they have run"
        )


def _names(several: Iterable[MissingCalls]) -> str:
    return listed(
        f"{calls.profile}: {printable(calls.name)}{f' ({calls.number})' * (calls.number > 1)}" for calls in several
    )
