"""How many entries this process has recorded for each playback, and how many of their spans it has lost.

Each entry is numbered, and spans of role ``counts`` report how many numbers were given: so what did not arrive is
missed, also where nobody else knows that it was begun.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Tracer

from otel_coverage.settings import Settings
from otel_coverage.tracing.attributes import PROCESS, ROLE
from otel_coverage.tracing.context import with_playback, with_role
from otel_coverage.tracing.forks import ProcessState
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import PROFILE, RUN_ID, STARTUP, Playback

COUNTS = "counts"
"""The name and the ``coverage.role`` of the spans that report."""

RECORDED = "coverage.recorded"
DROPPED = "coverage.dropped"

_MOST = 128  # playbacks that are remembered


class EntryNumber(NamedTuple):
    """Which of its process's entries an entry is.

    Attributes:
        process: 16 hexadecimal digits. A process has one, and a new one when it has forgotten a playback.
        number: from 1, for each playback.
    """

    process: str
    number: int


class Dropped(NamedTuple):
    """What this process has given up of a playback.

    Attributes:
        playback: whose spans they were.
        process: as in :class:`EntryNumber`.
        spans: how many, so far.
    """

    playback: Playback
    process: str
    spans: int


@dataclass(slots=True)
class _Count:
    process: str
    recorded: int = 0
    dropped: int = 0
    reported: tuple[int, int] = (0, 0)

    @property
    def is_reported(self) -> bool:
        return self.reported == (self.recorded, self.dropped)


class Tally(ProcessState):
    """The counts of this process; a forked child begins anew. Safe to use from any thread.

    Args:
        most: playbacks that are remembered; of more, those that were not counted for longest are forgotten.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._settings = Settings()
        self._check_process()

    def number(self, playback: Playback, settings: Settings) -> EntryNumber:
        """The number of the next entry.

        Args:
            playback: whose entry it is.
            settings: the token that signs the playback in the context of spans that report.
        """
        self._check_process()
        self._settings = settings
        with self._lock:
            count = self._count(playback)
            count.recorded += 1
            return EntryNumber(count.process, count.recorded)

    def dropped(self, spans: Iterable[ReadableSpan]) -> list[Dropped]:
        """These spans are given up. Those without a role report nothing, and do not count. Never raises.

        Returns:
            How many were given up so far of each playback that they are of.
        """
        found: dict[Playback, Dropped] = {}
        try:
            self._check_process()
            for span in spans:
                attributes = span.attributes or {}
                role, profile = attributes.get(ROLE), attributes.get(PROFILE)
                if not role or not profile or profile == STARTUP.profile:
                    continue
                playback = Playback(str(profile), str(attributes.get(RUN_ID) or ""))
                with self._lock:
                    count = self._count(playback)
                    if role != COUNTS:
                        count.dropped += 1
                        found[playback] = Dropped(playback, count.process, count.dropped)
                    elif attributes.get(PROCESS) == count.process:
                        count.reported = (0, 0)
        except Exception as error:
            log.failed("counting lost spans", error)
        return list(found.values())

    def report(self, tracer: Tracer, *, only_dropped: bool = False) -> None:
        """End a span for each playback whose counts are not those of the last report. Never raises.

        Args:
            tracer: makes the spans.
            only_dropped: only where spans were lost: where a process records one entry and ends, its call shows that
                there is one.
        """
        try:
            for playback, count in self._to_report(only_dropped):
                tracer.start_span(
                    COUNTS,
                    with_role(with_playback(Context(), playback, self._settings), COUNTS),
                    attributes={PROCESS: count.process, RECORDED: count.recorded, DROPPED: count.dropped},
                ).end()
        except Exception as error:
            log.failed("reporting how much was recorded", error)

    def _to_report(self, only_dropped: bool) -> list[tuple[Playback, _Count]]:
        self._check_process()
        with self._lock:
            found = [
                (playback, count)
                for playback, count in [*self._forgotten, *self._counts.items()]
                if not count.is_reported and (count.dropped or not only_dropped)
            ]
            self._forgotten.clear()
            for _, count in found:
                count.reported = (count.recorded, count.dropped)
            return [(playback, replace(count)) for playback, count in found]

    def _count(self, playback: Playback) -> _Count:
        count = self._counts.get(playback)
        if count is None:
            if len(self._counts) >= self._most:
                self._forgotten.append(self._counts.popitem(last=False))
                self._process = os.urandom(8).hex()  # else a playback that comes back would begin at 1 again
            count = self._counts[playback] = _Count(self._process)
        else:
            self._counts.move_to_end(playback)
        return count

    def _begin_process(self) -> None:
        self._process = os.urandom(8).hex()
        self._counts: OrderedDict[Playback, _Count] = OrderedDict()
        self._forgotten: deque[tuple[Playback, _Count]] = deque(maxlen=self._most)
        self._lock = threading.Lock()


_tally = Tally()
number, dropped, report = _tally.number, _tally.dropped, _tally.report
