"""Sending what lies in a spool: in messages of bounded size, and nothing is removed before it was acknowledged."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from otel_coverage.framing import Damage, Frame
from otel_coverage.spool import spool_file
from otel_coverage.spool.lost_counts import LostCounts
from otel_coverage.spool.lost_spans import DamagedRecord, LostSpans, counts_message
from otel_coverage.spool.receiver import Answer, Outcome, Receiver
from otel_coverage.spool.spool_file import REFUSED_SUFFIX, REQUEST, SpoolFile, spool_files
from otel_coverage.tracing.attributes import COMPLETE, INCOMPLETE_DETAIL, INCOMPLETE_REASON

_MESSAGE = 1024 * 1024  # bytes; what is larger was made by one export
_ATTEMPTS = 5  # of a message that the receiver fails on, before it counts as refused
_LONG_VALUE = 1024  # bytes of an attribute that is left out where a receiver does not take its span
_MARKS = (COMPLETE, INCOMPLETE_REASON, INCOMPLETE_DETAIL)


@dataclass
class Counts:
    """What became of what lay in the spool. Numbers of spans, but for ``damaged``.

    Attributes:
        sent: were accepted.
        refused: will never be accepted, and were put aside.
        expired: were older than the spool's limit, and were deleted.
        damaged: bytes that were no whole frame, and were skipped.
    """

    sent: int = 0
    refused: int = 0
    expired: int = 0
    damaged: int = 0


@dataclass
class Drain:
    """Sends what lies in a folder. One at a time: who drains holds the sender's lock.

    Attributes:
        folder: the spool's.
        receiver: who receives.
        max_age: seconds after which a request is deleted, not sent.
        max_bytes: what the folder may hold, what was put aside included.
        progress: called after each message that was acknowledged.
        counts: of all passes.
        error: why the last pass ended before everything was sent; empty where it did not.
        delay: seconds that the receiver asked to wait; None where it did not.
    """

    folder: Path
    receiver: Receiver
    max_age: float
    max_bytes: int
    progress: Callable[[], None] = lambda: None
    counts: Counts = field(default_factory=Counts)
    error: str = ""
    delay: float | None = None
    _changes: int = 0  # of what processes have given up, when it was reported
    _lost: LostSpans = field(default_factory=LostSpans)
    _limit: int = _MESSAGE
    _counted: dict[str, int] = field(default_factory=dict)  # by file: how far it was read, if not acknowledged since
    _failures: dict[tuple[str, int], int] = field(default_factory=dict)  # by file and position
    _delivered: dict[str, int] = field(default_factory=dict)  # by file: up to where all but what was given up is sent
    _aside: set[bytes] = field(default_factory=set)  # digests of what was put aside and is not acknowledged yet
    _origin: str = ""  # of what is given up, see LostSpans

    @property
    def lost_counts(self) -> LostCounts:
        """What processes have given up."""
        return LostCounts(self.folder)

    @property
    def has_lost_counts(self) -> bool:
        """Whether processes have given up something since that was last reported.

        Raises:
            OSError: that cannot be read.
        """
        return self.lost_counts.changes() != self._changes

    def run(self) -> bool:
        """Send what lies there now. Returns whether all of it was acknowledged.

        Raises:
            OSError: the folder cannot be read.
        """
        self.error, self.delay = "", None
        if not self._report_counts():
            return False
        for path in spool_files(self.folder):
            try:
                file = SpoolFile(path)
            except FileNotFoundError:
                continue
            try:
                if not self._drain(file):
                    return False
                file.reclaim()
            except TimeoutError as error:
                self.error = f"{path.name}: {error}"
                return False
            finally:
                file.close()
        return self._report()

    def _drain(self, file: SpoolFile) -> bool:
        payloads: list[bytes] = []
        size = 0
        delivered = self._delivered.get(file.path.name)
        if delivered is not None:
            if not self._report():
                return False
            self._acknowledge(file, delivered)
        end = file.position
        self._origin = ""
        before: Frame | None = None
        damage: Damage | None = None  # with no record behind it yet
        counted = self._counted.get(file.path.name, 0)
        for found in file.unsent():
            is_new = found.end > counted  # else it was read before, and what was to be sent with it was not accepted
            self._counted[file.path.name] = max(counted, found.end)
            if isinstance(found, Damage):
                if is_new:
                    self.counts.damaged += found.end - found.start
                damage = damage or found
                end = found.end
                continue
            if damage is not None:
                self._lost.add_damaged(_damaged(file.path, damage, before, found))
            before, damage = found, None
            self._origin = self._origin or f"{file.path.name} {found.number}"
            if found.kind != REQUEST:
                pass
            elif time.time_ns() - found.number > self.max_age * 1e9:
                if is_new:
                    self.counts.expired += span_count(found.payload)
                    self._lost.add(_spans(_parsed(found.payload)), self._origin)
            else:
                if payloads and size + len(found.payload) > self._limit:
                    if not self._deliver(file, payloads, end):
                        return False
                    payloads, size = [], 0
                    self._origin = f"{file.path.name} {found.number}"
                payloads.append(found.payload)
                size += len(found.payload)
            end = found.end
        if damage is not None:
            self._lost.add_damaged(_damaged(file.path, damage, before, None))
        if payloads:
            return self._deliver(file, payloads, end)
        if end > file.position:
            if not self._report():
                return False
            self._acknowledge(file, end)
        return True

    def _report_counts(self) -> bool:
        """Report what processes have given up. Returns whether that was accepted, or there was nothing to report."""
        changes = self.lost_counts.changes()
        if changes == self._changes:
            return True
        try:
            counts = self.lost_counts.read()
            if counts:
                answer = self.receiver.send(counts_message(counts, self.folder))
                if answer.outcome in (Outcome.LATER, Outcome.FAILED):
                    self.error, self.delay = answer.detail, answer.delay
                    return False
                self.lost_counts.reported(counts)
        except TimeoutError as error:
            self.error = str(error)
            return False
        self._changes = changes
        return True

    def _report(self) -> bool:
        """Report what was given up. Returns whether that was accepted, or there was nothing to report."""
        message = self._lost.message()
        if not message:
            return True
        answer = self.receiver.send(message)
        if answer.outcome in (Outcome.LATER, Outcome.FAILED):
            self.error, self.delay = answer.detail, answer.delay
            return False
        self._lost.reported()
        return True

    def _deliver(self, file: SpoolFile, payloads: list[bytes], end: int) -> bool:
        """Send the messages before ``end`` as one. Returns whether none of them need be sent again."""
        if not self._report():  # what was given up between them is read once
            return False
        key = (file.path.name, file.position)
        answer = self._send(b"".join(payloads), is_last_attempt=self._failures.get(key, 0) >= _ATTEMPTS)
        if answer.outcome is not Outcome.ACCEPTED:
            if answer.outcome is Outcome.FAILED:
                self._failures[key] = self._failures.get(key, 0) + 1
            self.error, self.delay = answer.detail, answer.delay
            return False
        self._failures.pop(key, None)
        if not self._report():  # before it is acknowledged: whoever is killed in between has left it to the next one
            self._delivered[file.path.name] = end
            return False
        self._acknowledge(file, end)
        self.progress()
        return True

    def _acknowledge(self, file: SpoolFile, end: int) -> None:
        file.acknowledge(end)
        self._counted.pop(file.path.name, None)  # positions begin anew where the file is cut
        self._delivered.pop(file.path.name, None)
        self._aside.clear()
        self._lost.acknowledged()

    def _send(self, request: bytes, *, is_last_attempt: bool) -> Answer:
        """Send a message, in parts if need be, and put aside what is refused.

        Returns:
            ``ACCEPTED``, or why it has to be sent again.
        """
        answer = self.receiver.send(request)
        if answer.outcome is Outcome.ACCEPTED:
            self.counts.sent += span_count(request) - answer.refused
            self.counts.refused += answer.refused
            if answer.refused:
                self._lost.add(_spans(_parsed(request)), self._origin, at_most=answer.refused)
            return answer
        if answer.outcome is Outcome.LATER or (answer.outcome is Outcome.FAILED and not is_last_attempt):
            return answer
        if answer.outcome is Outcome.TOO_LARGE:
            self._limit = min(self._limit, max(answer.limit or len(request) // 2, 1))
        halves = halved(request)
        if not halves:
            self._put_aside(request)
            short = shortened(request) if answer.outcome is Outcome.TOO_LARGE else None
            return Answer(Outcome.ACCEPTED) if short is None else self._send(short, is_last_attempt=is_last_attempt)
        for half in halves:
            answer = self._send(half, is_last_attempt=is_last_attempt)
            if answer.outcome is not Outcome.ACCEPTED:
                return answer
        return answer

    def _put_aside(self, request: bytes) -> None:
        digest = sha256(request).digest()
        if digest in self._aside:  # what was to be sent with it was not accepted, and all of it was sent again
            return
        self._aside.add(digest)
        self.counts.refused += span_count(request)
        self._lost.add(_spans(_parsed(request)), self._origin)
        files = sorted(self.folder.glob(f"*{REFUSED_SUFFIX}"))
        while files and sum(map(_size, files)) + len(request) > self.max_bytes // 4:
            files.pop(0).unlink(missing_ok=True)
        path = files[-1] if files and _size(files[-1]) < self.max_bytes // 16 else None
        if path is None:
            created = spool_file.create(self.folder, REFUSED_SUFFIX)
        else:
            created = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        with suppress(OSError):  # no room: it is gone, which the counts say
            spool_file.append(created, request, os.fstat(created).st_size)
        os.close(created)


def _damaged(path: Path, damage: Damage, before: Frame | None, after: Frame | None) -> DamagedRecord:
    """When damaged bytes were appended, and by which service, as far as the records around them show."""
    created = path.name.partition("-")[0]
    since = before.number if before is not None else int(created) if created.isdigit() else 0
    until = after.number if after is not None else time.time_ns()
    resource = None
    for frame in (before, after):
        message = _parsed(frame.payload) if frame is not None and frame.kind == REQUEST else None
        if resource is None and message is not None and message.resource_spans:
            resource = message.resource_spans[0].resource
    return DamagedRecord(path.name, damage.start, min(since, until), until, resource)


def span_count(request: bytes) -> int:
    """The number of spans in a message; 0 where it cannot be parsed."""
    return sum(1 for _ in _spans(_parsed(request)))


def halved(request: bytes) -> list[bytes]:
    """The message in two, each with half of the spans; empty where it has one span, or cannot be parsed."""
    message = _parsed(request)
    spans = list(_spans(message))
    if len(spans) < 2:
        return []
    middle = len(spans) // 2
    return [_message(spans[:middle]), _message(spans[middle:])]


def shortened(request: bytes) -> bytes | None:
    """The message with one span whose values that take most of it are left out, so that it is known that it was there.

    Returns:
        None where nothing of it can be left out.
    """
    message = _parsed(request)
    for _, _, span in _spans(message):
        long = [pair for pair in span.attributes if pair.ByteSize() > _LONG_VALUE]
        if not long:
            return None
        names = sorted(pair.key for pair in long)
        is_set_cut = any(name.startswith("coverage.") for name in names)
        kept = [pair for pair in span.attributes if pair not in long and not (is_set_cut and pair.key in _MARKS)]
        span.ClearField("attributes")
        span.attributes.extend(kept)
        span.dropped_attributes_count += len(long)
        if is_set_cut:
            span.attributes.add(key=COMPLETE).value.bool_value = False
            span.attributes.add(key=INCOMPLETE_REASON).value.string_value = "receiver_limit"
            detail = (
                f"the receiver takes no message of {len(request)} bytes, which the span has with {', '.join(names)}"
            )
            span.attributes.add(key=INCOMPLETE_DETAIL).value.string_value = detail
        serialized: bytes = message.SerializeToString()
        return serialized
    return None


def _message(spans: list[tuple[Any, Any, Any]]) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest()
    of_resource = of_scope = None
    for resource_spans, scope_spans, span in spans:
        if resource_spans is not of_resource:
            of_resource, of_scope = resource_spans, None
            group = message.resource_spans.add(resource=resource_spans.resource, schema_url=resource_spans.schema_url)
        if scope_spans is not of_scope:
            of_scope = scope_spans
            inner = group.scope_spans.add(scope=scope_spans.scope, schema_url=scope_spans.schema_url)
        inner.spans.append(span)
    serialized: bytes = message.SerializeToString()
    return serialized


def _spans(message: Any) -> Iterator[tuple[Any, Any, Any]]:
    for resource_spans in message.resource_spans if message is not None else ():
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield resource_spans, scope_spans, span


def _parsed(request: bytes) -> Any:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        return ExportTraceServiceRequest.FromString(request)
    except Exception:  # protobuf's DecodeError
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
