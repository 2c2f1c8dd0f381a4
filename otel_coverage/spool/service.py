"""The spool of this process's service: where it appends, what it notes as begun, and that somebody sends it."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanContext

from otel_coverage.settings import Settings
from otel_coverage.spool import begun, spool_file
from otel_coverage.spool.begun import Begun, Slots
from otel_coverage.spool.folder import spool_folder
from otel_coverage.spool.launch import ensure_sender
from otel_coverage.spool.lost_counts import LostCount, LostCounts
from otel_coverage.spool.receiver import is_otlp
from otel_coverage.spool.spool import Spool
from otel_coverage.spool.wait import wait_until_sent
from otel_coverage.tracing.entry import ROLES, Entry
from otel_coverage.tracing.log import log

_LOOK_SECONDS = 5.0  # between two looks for the sender
_START_SECONDS = 5.0  # that who appends waits for the thread which starts it


class ServiceSpool:
    """The spool as the processes of a service use it. Safe to use from any thread, across forks.

    Args:
        folder: the spool's.
        settings: its limits.

    Attributes:
        spool: appends.
        slots: hold what was begun.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.spool = Spool(folder, max_bytes=settings.spool_bytes, max_age=settings.spool_age, sync=settings.spool_sync)
        self._folder = folder
        self._linger = settings.spool_linger
        self.slots = Slots(folder)
        self._lost = LostCounts(folder)
        self._looked_at = -math.inf
        self._starter: threading.Thread | None = None

    def prepare(self, resource: Resource | None = None) -> bool:
        """Open what this process, and children forked from now on, append to; start a sender. Never raises.

        Args:
            resource: describes this process.

        Returns:
            Whether spans can be kept.
        """
        is_open = self.spool.open()
        if is_open:
            self._lost.open()
            self.slots.open()
            if resource is not None:
                self.slots.describe(resource)
            self._look_for_sender()
        return is_open

    def append(self, request: bytes) -> bool:
        """Keep a serialized request, and see to it that it is sent. Never raises.

        Returns:
            Whether it is kept.
        """
        if not self.spool.append(request):
            return False
        self._look_for_sender()
        return True

    def begin(self, entry: Entry, name: str, parent: SpanContext | None, resource: Resource | None) -> None:
        """Note that an entry has begun, until its span starts or :meth:`forget` is called. Never raises.

        Args:
            entry: has just opened.
            name: what is known of it.
            parent: the span that caused it, in the trace that it is going to be in; None where no header says.
            resource: describes this process; None where its provider has none.
        """
        try:
            trace_id, parent_id = ("", "") if parent is None else (f"{parent.trace_id:032x}", f"{parent.span_id:016x}")
            described = "" if resource is None else self.slots.describe(resource)
            begun = _begun(entry, trace_id, parent_id, "", entry.opened, described, name)
            self.slots.begin(entry, begun)
            self._have_sender()
        except Exception as error:
            log.failed("noting what was begun", error)

    def start(self, entry: Entry, span: Span) -> None:
        """Note that the span of an entry has started, until the span is settled. Never raises.

        Args:
            entry: whether or not :meth:`begin` has noted it.
            span: its own.
        """
        try:
            context = span.get_span_context()
            parent_id = f"{span.parent.span_id:016x}" if span.parent is not None else ""
            begun = _begun(
                entry,
                f"{context.trace_id:032x}",
                parent_id,
                f"{context.span_id:016x}",
                span.start_time or time.time_ns(),
                self.slots.describe(span.resource),
                _name(span),
            )
            self.slots.start(entry, context.span_id, begun)
            self._have_sender()
        except Exception as error:
            log.failed("noting what was begun", error)

    def forget(self, entry: Entry) -> None:
        """The entry has ended without a span. Never raises."""
        self.slots.forget(entry)

    def lost(self, counts: Sequence[LostCount]) -> bool:
        """Note how much this process has given up so far, which it may not live to report itself. Never raises.

        Args:
            counts: of playbacks of which something was given up.

        Returns:
            Whether that is noted.
        """
        return self._lost.note([count._replace(resource=self.slots.described) for count in counts])

    def wait(self, timeout: float) -> bool:
        """Wait until everything is sent; not for a receiver that does not answer. Never raises.

        Args:
            timeout: seconds.

        Returns:
            Whether everything is sent.
        """
        return wait_until_sent(self._folder, self.spool.unsent_bytes, timeout)

    def _have_sender(self) -> None:
        """Look for a sender where this process never did: it may be killed before it appends anything."""
        if self._looked_at == -math.inf:
            self._looked_at = time.monotonic()  # else several requests of the first moment would each start one
            self._lost.open()  # as long as there is room
            # starting a process takes milliseconds, which the request is not to wait for
            self._starter = threading.Thread(target=self._ensure_sender, name="otel-coverage-sender", daemon=True)
            self._starter.start()

    def _look_for_sender(self) -> None:
        """Start a sender where none is running; one that was started a moment ago may not look as if it were yet.

        A process that adopts orphans (PR_SET_CHILD_SUBREAPER), as workers do that look for what a job has left behind,
        finds each sender that is started after that among its children.
        """
        starter, self._starter = self._starter, None
        if starter is not None:
            starter.join(_START_SECONDS)  # else it might end with this process, before it has started one
        if time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._lost.open()
            self.slots.open()  # first: a sender that is about to end sees that somebody lives
            self._ensure_sender()

    def _ensure_sender(self) -> None:
        self._looked_at = time.monotonic()
        try:
            ensure_sender(self._folder, self.spool.max_age, self.spool.max_bytes, self._linger)
        except Exception as error:
            log.failed("starting the process that sends the spool", error)


_installed: ServiceSpool | None = None


def install(settings: Settings) -> ServiceSpool | None:
    """The spool of this process's service, made if there is none yet; None where the settings want none."""
    global _installed
    if _installed is None and spool_file.is_supported() and is_otlp():
        folder = spool_folder(settings)
        if folder is not None:
            _installed = ServiceSpool(folder, settings)
            begun.use(_installed.slots)
    return _installed


def installed() -> ServiceSpool | None:
    """The spool of this process's service, or None."""
    return _installed


def uninstall() -> None:
    """Forget the spool; what it holds stays."""
    global _installed
    _installed = None
    begun.use(None)


def _begun(entry: Entry, trace_id: str, parent_id: str, span_id: str, start: int, resource: str, name: str) -> Begun:
    return Begun(
        role=ROLES[entry.kind],
        profile=entry.playback.profile,
        run_id=entry.playback.run_id or "",
        trace_id=trace_id,
        parent_id=parent_id,
        span_id=span_id,
        process=entry.number.process if entry.number is not None else "",
        pid=str(os.getpid()),
        start=str(start),
        resource=resource,
        name=name,
    )


def _name(span: Span) -> str:
    """What is known of an entry when its span starts: method and path, or the job."""
    attributes = span.attributes or {}
    path = attributes.get("url.path") or attributes.get("http.target") or attributes.get("http.url")
    if path:
        method = attributes.get("http.request.method") or attributes.get("http.method") or ""
        return f"{method} {path}".strip()
    function = attributes.get("messaging.rq.function")
    if function:
        return f"{span.name}: {function} ({attributes.get('messaging.message.id', '')})"
    return span.name
