"""What a sender has given up, as spans that report it: for each profile and run, or for a time where it named none."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_coverage import __version__
from otel_coverage.spool.kept_resource import kept_resource
from otel_coverage.spool.lost_counts import LostCount

_COUNTS = "counts"
_DAMAGED = "_damaged"  # in the place of a profile: no slug begins like that
_NOT_COUNTED = ("", _COUNTS)  # roles that say nothing of coverage


@dataclass(slots=True)
class _Lost:
    resource: Any
    dropped: int = 0
    reported: int = 0


@dataclass(frozen=True, slots=True)
class DamagedRecord:
    """Bytes of a spool that cannot be read, and so name no profile.

    Attributes:
        file: the name of the file.
        start: where in it.
        since: when the record before them was appended, in nanoseconds since 1970.
        until: when the one behind them was.
        resource: that of one of these records; None where there is none.
    """

    file: str
    start: int
    since: int
    until: int
    resource: Any

    @property
    def id(self) -> bytes:
        """16 bytes, the same whenever and by whomever they are found."""
        return hashlib.blake2b(f"{self.file} {self.start}".encode(), digest_size=16).digest()


class LostSpans:
    """Counts spans that will never arrive, as processes that drop some do, under a ``coverage.process`` of its own.

    A sender that is killed before it has acknowledged what it gave up leaves it to the next one, which gives it up
    again. Both report it under one process, which is that of the origin: the store keeps the higher count.
    """

    def __init__(self) -> None:
        self._lost: dict[tuple[str, str, str], _Lost] = {}  # by origin, profile and run
        self._damaged: dict[bytes, DamagedRecord] = {}
        self._reported: set[bytes] = set()  # of these, their ids

    def add(self, spans: Iterable[tuple[Any, Any, Any]], origin: str, *, at_most: int | None = None) -> None:
        """These spans are given up.

        Args:
            spans: each with the ``ResourceSpans`` and the ``ScopeSpans`` that hold it.
            origin: names the first record that is not acknowledged yet of the file that they are in.
            at_most: how many of them, where it is not known which: they may all be of any playback among them.
        """
        found: Counter[tuple[str, str, str]] = Counter()
        for resource_spans, _, span in spans:
            values = {pair.key: pair.value.string_value for pair in span.attributes}
            profile = values.get("playback.profile", "")
            if profile and values.get("coverage.role", "") not in _NOT_COUNTED:
                key = (origin, profile, values.get("playback.run_id", ""))
                self._lost.setdefault(key, _Lost(resource_spans.resource))
                found[key] += 1
        for key, number in found.items():
            self._lost[key].dropped += number if at_most is None else min(number, at_most)

    def add_damaged(self, record: DamagedRecord) -> None:
        """This record is given up."""
        self._damaged[record.id] = record

    def message(self) -> bytes:
        """A serialized message with what was given up and not reported yet; empty where there is none."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        request = ExportTraceServiceRequest()
        for (origin, profile, run_id), lost in self._lost.items():
            if lost.dropped == lost.reported:
                continue
            now = time.time_ns()
            span = _span(request, lost.resource, secrets.token_bytes(16), now, now)
            _set_texts(
                span, {"playback.profile": profile, "playback.run_id": run_id, "coverage.process": _process(origin)}
            )
            _set_counts(span, lost.dropped)
        for record in self._damaged.values():
            if record.id not in self._reported:
                span = _span(request, record.resource, record.id, record.since, record.until)
                _set_texts(span, {"playback.profile": _DAMAGED, "coverage.process": record.id.hex()[:16]})
        serialized: bytes = request.SerializeToString()
        return serialized

    def reported(self) -> None:
        """The last message was accepted."""
        for lost in self._lost.values():
            lost.reported = lost.dropped
        self._reported.update(self._damaged)

    def acknowledged(self) -> None:
        """What was reported is not found again."""
        self._lost = {key: lost for key, lost in self._lost.items() if lost.dropped != lost.reported}


def counts_message(counts: Sequence[LostCount], folder: Path) -> bytes:
    """A serialized message that reports what processes have given up.

    Args:
        counts: of whatever processes of the service.
        folder: the spool's, with what describes them.
    """
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    now = time.time_ns()
    for (profile, run_id), process, dropped, resource in counts:
        span = _span(request, kept_resource(folder, resource), secrets.token_bytes(16), now, now)
        _set_texts(span, {"playback.profile": profile, "playback.run_id": run_id, "coverage.process": process})
        _set_counts(span, dropped)
    serialized: bytes = request.SerializeToString()
    return serialized


def _process(origin: str) -> str:
    return hashlib.blake2b(origin.encode(), digest_size=8).hexdigest()


def _span(request: Any, resource: Any, trace: bytes, since: int, until: int) -> Any:
    group = request.resource_spans.add(resource=resource)
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "otel_coverage", __version__
    return scope.spans.add(
        trace_id=trace,
        span_id=trace[:8],
        name=_COUNTS,
        kind=1,  # internal
        start_time_unix_nano=since,
        end_time_unix_nano=until,
        flags=1,
    )


def _set_counts(span: Any, dropped: int) -> None:
    for key, number in (("coverage.recorded", 0), ("coverage.dropped", dropped)):
        span.attributes.add(key=key).value.int_value = number


def _set_texts(span: Any, texts: dict[str, str]) -> None:
    for key, text in {**texts, "coverage.role": _COUNTS}.items():
        span.attributes.add(key=key).value.string_value = text
