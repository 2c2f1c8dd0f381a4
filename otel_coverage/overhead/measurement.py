"""Profiles played with and without tracing, in turn, until the ratio of their times is known well enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from otel_coverage.errors import OtelCoverageError
from otel_coverage.overhead.interval import Interval, fewest_pairs, interval
from otel_coverage.playback.outcome import Outcome
from otel_coverage.playback.player import Player
from otel_coverage.playback.profile import Profile

Pair = tuple[float, float]


class MeasurementError(OtelCoverageError):
    """Nothing can be said of what tracing costs."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Stop:
    """When to stop.

    Attributes:
        precision: once the interval's ends are no farther than this from the ratio, as a share of it.
        rounds: after so many, at the latest.
        seconds: after so many, at the latest; a round that was begun is played to its end.
        confidence: of the intervals.
    """

    precision: float = 0.02
    rounds: int = 100
    seconds: float = 600.0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Figures:
    """How long something takes without and with tracing.

    Attributes:
        pairs: of times; seconds without, seconds with.
        ratio: of the second to the first, with its interval.
    """

    pairs: tuple[Pair, ...]
    ratio: Interval

    @property
    def plain_seconds(self) -> float:
        """Median without tracing."""
        return median(plain for plain, _ in self.pairs)

    @property
    def traced_seconds(self) -> float:
        """Median with tracing."""
        return median(traced for _, traced in self.pairs)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        stop: when it was to stop.
        profiles: by slug, in the order that they were played in.
        overall: of all of them together; one pair for each round.
    """

    stop: Stop
    profiles: dict[str, Figures]
    overall: Figures

    @property
    def is_precise(self) -> bool:
        """Whether the interval of the overall ratio got as narrow as it was to be, before a limit ended it."""
        return self.overall.ratio.precision <= self.stop.precision


@dataclass
class Measurement:
    """Plays profiles, and keeps their times.

    Attributes:
        profiles: what to play.
        plain: plays without tracing.
        traced: plays with it. The runs of its rounds are its own with ``.1``, ``.2`` and so on at the end, and ``.0``
            of the warm-up.
        stop: when to stop.
        after: called after each play, which it is not part of.
    """

    profiles: Sequence[Profile]
    plain: Player
    traced: Player
    stop: Stop = field(default_factory=Stop)
    after: Callable[[], object] = lambda: None
    _pairs: list[list[Pair]] = field(default_factory=list)

    def rounds(self) -> Iterator[Measured | None]:
        """Play round after round; yields after each what is known by then, None where that is too little.

        A round plays each profile twice, one after the other. Which of both is first alternates by round and by
        profile, so that neither a machine that slows down nor what the first leaves in caches favours one. The first
        round is a warm-up that does not count, and after which nothing is yielded.

        Raises:
            MeasurementError: a profile failed, or the application did not trace it; or a limit was reached before an
                interval could be computed.
        """
        deadline = time.monotonic() + self.stop.seconds
        for number in range(self.stop.rounds + 1):
            for profile in self.profiles:
                self._traced(number).plan(profile)
            self.after()
            pairs = [self._pair(number, profile, place) for place, profile in enumerate(self.profiles)]
            if number == 0:
                continue
            self._pairs.append(pairs)
            measured = self._measured()
            yield measured
            if (measured is not None and measured.is_precise) or time.monotonic() > deadline:
                break
        if self._measured() is None:
            raise MeasurementError(
                f"{len(self._pairs)} rounds were played within the limits, and an interval of confidence "
                f"{self.stop.confidence:g} needs {fewest_pairs(self.stop.confidence)}: nothing was written; raise "
                "--max-rounds or --max-seconds, or play fewer profiles"
            )

    def _pair(self, number: int, profile: Profile, place: int) -> Pair:
        players = [self.plain, self._traced(number)]
        times = {}
        for player in players[:: 1 if (number + place) % 2 else -1]:
            outcome = player.play(profile)
            _check(outcome, number, is_traced=player.is_traced)
            times[player.is_traced] = outcome.seconds
            self.after()
        return times[False], times[True]

    def _traced(self, number: int) -> Player:
        return replace(self.traced, run_id=f"{self.traced.run_id}.{number}")

    def _measured(self) -> Measured | None:
        if len(self._pairs) < fewest_pairs(self.stop.confidence):
            return None
        together = [(sum(plain for plain, _ in each), sum(traced for _, traced in each)) for each in self._pairs]
        profiles = zip((profile.slug for profile in self.profiles), zip(*self._pairs, strict=True), strict=True)
        return Measured(
            self.stop, {slug: self._figures(pairs) for slug, pairs in profiles}, self._figures(tuple(together))
        )

    def _figures(self, pairs: tuple[Pair, ...]) -> Figures:
        found = interval(pairs, self.stop.confidence)
        assert found is not None, "there are as many pairs as an interval needs"  # noqa: S101
        return Figures(pairs, found)


def _check(outcome: Outcome, number: int, *, is_traced: bool) -> None:
    how = f"{outcome.profile} {'with' if is_traced else 'without'} tracing, round {number}"
    if outcome.failure is not None:
        raise MeasurementError(f"{how}: {outcome.failure}; nothing was measured")
    if is_traced and not outcome.traced:
        raise MeasurementError(
            f"{how}: nothing says that the application traced it, and a ratio would be that of two plays without "
            "tracing; start it by `otel-coverage run -- …` with OTEL_COVERAGE_ENABLED=1, and with the "
            "OTEL_COVERAGE_TOKEN that is set here, if one is"
        )
