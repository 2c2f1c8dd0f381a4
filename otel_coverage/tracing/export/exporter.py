"""The span exporter around the standard one: messages of bounded size, and counts of what was delivered."""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage.loaded import loaded
from otel_coverage.spool.begun import settled
from otel_coverage.tracing.export.span_size import span_size
from otel_coverage.tracing.forks import ProcessState
from otel_coverage.tracing.log import log, logger
from otel_coverage.tracing.playback import PROFILE

# gRPC servers refuse messages over 4 MiB by default; the margin is for the message around the spans
MESSAGE_BYTES = 4 * 1024 * 1024 - 64 * 1024

_LONGEST_PAUSE = 30.0  # seconds
_OFF = ("0", "false", "no", "off")


@dataclass(slots=True)
class ExportCounts:
    """What became of the spans that ended in this process.

    Attributes:
        ended: sampled spans that were to be exported.
        delivered: spans that the receiver accepted.
        spooled: spans that lie in the spool, which another process sends.
        lost: spans that were given up.
    """

    ended: int = 0
    delivered: int = 0
    spooled: int = 0
    lost: int = 0

    @property
    def settled(self) -> int:
        """Spans of which it is known what became of them."""
        return self.delivered + self.spooled + self.lost


class BoundedSpanExporter(ProcessState, SpanExporter):
    """Exports in messages of bounded size, through an exporter that is made for the first of them.

    An exporter that was made before a fork is left to the parent: a child makes its own. After a failure no export is
    tried for a while, longer each time: meanwhile spans go to the fallback, or stay with the caller.

    Args:
        make: makes the exporter that sends; None where all spans go to the fallback.
        fallback: what the receiver does not accept is exported there; None for nowhere.
        message_bytes: no message is larger, unless a single span is.

    Attributes:
        on_lost: called with spans that are given up, from any thread; None for nothing.
    """

    def __init__(
        self,
        make: Callable[[], SpanExporter] | None,
        fallback: SpanExporter | None = None,
        *,
        message_bytes: int = MESSAGE_BYTES,
    ) -> None:
        self._make = make
        self._fallback = fallback
        self._message_bytes = message_bytes
        self._exporter: SpanExporter | None = None
        self._inherited: SpanExporter | None = None
        self._has_connected = self._parent_has_connected = False
        self.on_lost: Callable[[Sequence[ReadableSpan]], None] | None = None
        self._check_process()

    @property
    def counts(self) -> ExportCounts:
        """What became of this process's spans; a child of a fork starts at zero."""
        self._check_process()
        return self._counts

    @property
    def has_fallback(self) -> bool:
        """Whether there is another place for what the receiver does not accept."""
        return self._fallback is not None

    @property
    def only_keeps(self) -> bool:
        """Whether all spans go to the fallback, so that nothing is sent from this process."""
        return self._make is None

    @property
    def may_send(self) -> bool:
        """Whether the receiver is to be tried now, after its failures, if any."""
        self._check_process()
        return self._make is not None and not self._pause.is_on

    @property
    def is_healthy(self) -> bool:
        """Whether the receiver has accepted the last message."""
        self._check_process()
        return self._has_connected and self._pause.failures == 0

    @property
    def is_working(self) -> bool:
        """Whether the last spans were accepted, by the receiver or the fallback."""
        self._check_process()
        return self.is_healthy or self._has_kept

    @property
    def pause(self) -> float:
        """Seconds until the receiver is tried again; 0 where it may be tried now."""
        self._check_process()
        return self._pause.remaining

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send, and count what was accepted; give up what was not. Never raises."""
        rest = self.deliver(spans) if self._make is not None else list(spans)
        return SpanExportResult.SUCCESS if self.keep(rest) else SpanExportResult.FAILURE

    def deliver(
        self, spans: Sequence[ReadableSpan], *, give_up: Callable[[], bool] = lambda: False
    ) -> list[ReadableSpan]:
        """Send, and count what was accepted. Never raises.

        Args:
            spans: what to send.
            give_up: asked before each message whether to stop.

        Returns:
            The spans that were not accepted, and not given up either.
        """
        self._check_process()
        rest: list[ReadableSpan] = []
        for batch in self._batches(spans):
            if rest or give_up() or not self._send(batch):
                rest += batch  # the receiver has just failed: it is not asked again for each message
        return rest

    def keep(self, spans: Sequence[ReadableSpan]) -> bool:
        """Export to the fallback, or give up. Never raises.

        Returns:
            Whether none of them is lost.
        """
        self._check_process()
        is_kept = True
        for batch in self._batches(spans):
            self._has_kept = self._fall_back(batch)
            if self._has_kept:
                with self._lock:
                    self._counts.spooled += len(batch)
            else:
                is_kept = False
                self.lose(batch)
        return is_kept

    def lose(self, spans: Sequence[ReadableSpan]) -> None:
        """Give spans up: count and report them. Never raises."""
        self._check_process()
        with self._lock:
            self._counts.lost += len(spans)
        if self.on_lost is not None:
            try:
                self.on_lost(spans)
            except Exception as error:
                log.failed("counting lost spans", error)

    def interrupt(self, timeout: float = 0.0) -> None:
        """Have the export that is in progress fail, if there is one: the process is about to end. Never raises."""
        self._check_process()
        exporter, self._exporter = self._exporter, None
        if exporter is not None:
            _shut_down(exporter, timeout)

    def shutdown(self) -> None:
        """Close the connection; log how many spans were lost, if any."""
        self.interrupt()
        if self._fallback is not None:
            _shut_down(self._fallback, 0.0)
        if self.counts.lost:
            logger.warning("coverage: %d spans of this process were lost", self.counts.lost)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """True: nothing is buffered here."""
        return True

    def count_ended(self) -> None:
        """One more span is to be exported."""
        self._check_process()
        with self._lock:
            self._counts.ended += 1

    def _batches(self, spans: Sequence[ReadableSpan]) -> Iterator[list[ReadableSpan]]:
        if len(spans) == 1:
            yield list(spans)
            return
        batch: list[ReadableSpan] = []
        total = 0
        for span in spans:
            size = span_size(span)
            if batch and total + size > self._message_bytes:
                yield batch
                batch, total = [], 0
            batch.append(span)
            total += size
        if batch:
            yield batch

    def _send(self, batch: list[ReadableSpan]) -> bool:
        error: Exception | None = None
        accepted = False
        if self._make is None:
            return False
        try:
            accepted = self._connected(self._make).export(batch) is SpanExportResult.SUCCESS
        except Exception as raised:  # the SDK would log it and lose count of the spans
            error = raised
        self._has_connected = True
        if accepted:
            self._pause.end()
            with self._lock:
                self._counts.delivered += len(batch)
            settled(batch)
            return True
        self._pause.begin()
        log.warn(
            "late_spans" if self.has_fallback else "undelivered_spans",
            "coverage: %d spans were not delivered (%s), %s; %s; is the collector running?",
            len(batch),
            error or _endpoint(),
            "they go to the spool" if self.has_fallback else "they are kept while there is room, and tried again",
            "their coverage is missing until then"
            if any(map(is_of_playback, batch))
            else "none of them is of a playback",
            count=len(batch),
        )
        return False

    def _connected(self, make: Callable[[], SpanExporter]) -> SpanExporter:
        if self._exporter is None:
            if self._parent_has_connected and os.environ.get("GRPC_ENABLE_FORK_SUPPORT") in _OFF:
                raise RuntimeError(
                    "the process that forked this one uses gRPC, and GRPC_ENABLE_FORK_SUPPORT is off: gRPC would abort"
                )
            _make_grpc_cooperative()
            self._exporter = make()
        return self._exporter

    def _fall_back(self, batch: list[ReadableSpan]) -> bool:
        if self._fallback is None:
            return False
        try:
            return self._fallback.export(batch) is SpanExportResult.SUCCESS
        except Exception as error:
            log.failed("keeping spans", error)
            return False

    def _begin_process(self) -> None:
        """A forked child leaves its parent's connection alone."""
        self._lock = threading.Lock()
        self._parent_has_connected |= self._has_connected and "grpc" in sys.modules
        self._inherited, self._exporter = self._exporter, None  # kept: freeing it would close the parent's connection
        self._has_connected = self._has_kept = False
        self._pause = _Pause()
        self._counts = ExportCounts()


class _Pause:
    """The time without attempts after failures in a row, twice as long after each."""

    def __init__(self) -> None:
        self.failures = 0
        self._until = 0.0

    @property
    def remaining(self) -> float:
        return max(0.0, self._until - time.monotonic()) if self.failures else 0.0

    @property
    def is_on(self) -> bool:
        return self.remaining > 0

    def begin(self) -> None:
        self.failures += 1
        self._until = time.monotonic() + min(2.0 ** (self.failures - 1), _LONGEST_PAUSE)

    def end(self) -> None:
        self.failures = 0


def _shut_down(exporter: SpanExporter, timeout: float) -> None:
    try:
        if "timeout_millis" in inspect.signature(exporter.shutdown).parameters:
            exporter.shutdown(timeout_millis=timeout * 1000)  # type: ignore[call-arg]
        else:
            exporter.shutdown()
    except Exception as error:
        log.failed("closing an exporter", error)


def is_of_playback(span: ReadableSpan) -> bool:
    """Whether the span belongs to a traced context, so that coverage is missing where it is."""
    return bool((span.attributes or {}).get(PROFILE))


def _make_grpc_cooperative() -> None:
    """Have gRPC yield to other greenlets while it waits, where gevent has replaced threads."""
    is_patched = loaded("gevent.monkey", "is_module_patched")
    if is_patched is None or not is_patched("threading"):
        return
    try:
        from grpc.experimental.gevent import init_gevent
    except ImportError:
        return  # the exporter is not gRPC's, and uses sockets that gevent has replaced
    init_gevent()


def _endpoint() -> str:
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint:
        return endpoint
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    return "http://localhost:4318" if (protocol or "").startswith("http") else "http://localhost:4317"
