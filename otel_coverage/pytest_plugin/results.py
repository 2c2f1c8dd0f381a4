"""What a session has played, what is known to be missing of it, and what is said about that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from typing import Any

from otel_coverage import waiting
from otel_coverage.errors import OtelCoverageError
from otel_coverage.playback.delivery import Delivered
from otel_coverage.printable import counted, listed, printable
from otel_coverage.pytest_plugin.plays import Play


@dataclass
class Played:
    """One profile.

    Attributes:
        requests: how many count.
        answered: how many were answered.
        traced: how many of those as traced ones are.
        failed: whether it failed.
        is_reported: whether any of it counts, so that the store knows of it.
    """

    requests: int = 0
    answered: int = 0
    traced: int = 0
    failed: bool = False
    is_reported: bool = False


@dataclass
class Results:
    """All profiles of a session.

    Attributes:
        profiles: those that made requests, by slug.
        undelivered: spans of the playback that are not in the spool.
        waiting_bytes: that lie in the spool, and were not acknowledged.
        notes: what the user has to know.
        untraced: hosts that have answered, and never as a traced application does, with the number of answers.
        missing: what the store lacks, as sentences; None where it was not asked.
        pending: what nobody waited for, as sentences.
        is_named: whether the user has named the application's hosts.
    """

    profiles: dict[str, Played] = field(default_factory=dict)
    undelivered: Delivered = field(default_factory=Delivered)
    waiting_bytes: int = 0
    notes: set[str] = field(default_factory=set)
    untraced: dict[str, int] = field(default_factory=dict)
    missing: list[str] | None = None
    pending: list[str] = field(default_factory=list)
    is_named: bool = False

    def note(self, play: Play) -> None:
        """Note how a profile went; one that made no request is not one."""
        if play.has_called:
            self._add(play.slug, Played(play.requests, play.answered, play.traced, play.failed, play.is_reported))

    def add(self, other: Results) -> None:
        """Add those of a worker."""
        for slug, played in other.profiles.items():
            self._add(slug, played)
        self.undelivered += other.undelivered
        self.waiting_bytes = max(self.waiting_bytes, other.waiting_bytes)
        self.notes |= other.notes
        for origin, number in other.untraced.items():
            self.untraced[origin] = self.untraced.get(origin, 0) + number

    def as_json(self) -> dict[str, Any]:
        """For another process."""
        return {
            "profiles": {slug: list(astuple(each)) for slug, each in self.profiles.items()},
            "undelivered": [self.undelivered.lost, self.undelivered.spooled],
            "waiting": self.waiting_bytes,
            "notes": sorted(self.notes),
            "untraced": self.untraced,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Results:
        """What :meth:`as_json` has made."""
        return cls(
            {slug: Played(*each) for slug, each in found["profiles"].items()},
            Delivered(*found["undelivered"]),
            found["waiting"],
            set(found["notes"]),
            found["untraced"],
        )

    def look_into_store(self, dsn: str | None, run_id: str, timeout: float) -> None:
        """Wait until a store has all of the run, and note what it lacks.

        Args:
            dsn: of the store; None for the one of OTEL_COVERAGE_STORE, or none.
            run_id: of the run.
            timeout: seconds.
        """
        dsn = dsn or os.environ.get("OTEL_COVERAGE_STORE")
        traced = [slug for slug, each in self.profiles.items() if each.traced]
        if not dsn or not traced:
            return
        try:
            arrival = waiting.arrival_in(dsn, run_id, traced, timeout)
        except OtelCoverageError as error:
            self.missing = [f"whether all of run {run_id} arrived is not known: {error}"]
            return
        self.missing = list(waiting.lacking(arrival, run_id, traced, timeout))
        self.pending = list(waiting.not_waited_for(arrival, run_id))

    def problems(self, run_id: str) -> Iterator[str]:
        """What is known to be missing, a sentence for each cause."""
        yield from sorted(self.notes)
        untraced = sorted(slug for slug, each in self.profiles.items() if each.answered and not each.traced)
        # what answers beside a traced application is some other server, where nobody has named the application
        if untraced and (self.is_named or not any(each.traced for each in self.profiles.values())):
            hosts = f" ({listed(sorted(self.untraced))})" if self.untraced else ""
            yield (
                f"nothing says that an application{hosts} traced {listed(untraced)}: start it by `otel-coverage run -- "
                "…` with OTEL_COVERAGE_ENABLED=1, and with the OTEL_COVERAGE_TOKEN that is set here, if one is; name "
                "its hosts by --playback-target where they are not loopback"
            )
        if self.undelivered.lost:
            yield (
                f"{counted(self.undelivered.lost, 'span')} of the playback itself did not reach the collector, so no "
                f"report can tell whether all of run {run_id} arrived; check OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        if self.waiting_bytes or self.undelivered.spooled:
            yield (
                f"spans of run {run_id} lie in the spool and are sent from there, see `otel-coverage spool status`: "
                "until then it is incomplete"
            )
        yield from self.missing or ()

    def lines(self, run_id: str, dsn: str | None) -> Iterator[str]:
        """What is printed at the end."""
        reported = {slug: each for slug, each in self.profiles.items() if each.is_reported}
        requests = sum(each.requests for each in reported.values())
        failed = sorted(slug for slug, each in reported.items() if each.failed)
        if not reported:
            yield f"run {run_id}: no test made a request to a traced application, so nothing was played"
        else:
            yield f"run {run_id}: {_counted(len(reported), 'profile')}, {_counted(requests, 'request')}"
        if failed:
            yield f"failed, so they are no evidence of what is not executed: {listed(failed)}"
        for sentence in (*self.problems(run_id), *self.pending):
            yield f"otel-coverage: {printable(sentence)}"
        if self.missing == []:
            yield "all of it arrived in the store"
        if reported:
            store = "" if dsn is None and os.environ.get("OTEL_COVERAGE_STORE") else ' --store "$STORE"'
            yield f"next: otel-coverage verify --run {run_id}{store}"
            yield f"      otel-coverage report --run {run_id}{store} --out coverage-report"

    def _add(self, slug: str, played: Played) -> None:
        known = self.profiles.setdefault(slug, Played())
        known.requests += played.requests
        known.answered += played.answered
        known.traced += played.traced
        known.failed = known.failed or played.failed
        known.is_reported = known.is_reported or played.is_reported


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
