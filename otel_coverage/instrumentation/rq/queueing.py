"""One queueing of a job: its span, and the call that the job carries from then on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from otel_coverage.instrumentation.propagation import extract, inject
from otel_coverage.instrumentation.rq.call import Call, call_of, set_call
from otel_coverage.instrumentation.rq.messaging import attributes
from otel_coverage.instrumentation.rq.pipeline import NeverExecutedError, when_executed
from otel_coverage.tracing.context import playback_of, with_role
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

_ATTRIBUTE = "_otel_coverage_queueing"  # of a job that is being queued right now


class Queueing:
    """One call of a job, from the start of its span until what carries it is in Redis, or never will be.

    Args:
        job: carries the call from now on.
        call: what it carries.
        span: of the call, which has started.
    """

    def __init__(self, job: Any, call: Call, span: Span) -> None:
        self._job, self._call, self._span = job, call, span
        self._before = call_of(job)
        self._is_over = False
        set_call(job, call)
        setattr(job, _ATTRIBUTE, self)

    def end(self, error: BaseException | None) -> None:
        """The call was made, or an ``error`` prevented it; only the first answer counts. Never raises."""
        if self._is_over:
            return
        self._is_over = True
        try:
            self._end(error)
        except Exception as failure:
            log.failed("ending the span of a queued job", failure)

    def _end(self, error: BaseException | None) -> None:
        from redis.exceptions import WatchError

        if queueing_of(self._job) is self:
            delattr(self._job, _ATTRIBUTE)
        if error is not None and call_of(self._job) is self._call:
            set_call(self._job, self._before)
        if isinstance(error, NeverExecutedError | WatchError):
            return  # nobody asked for that, or it is tried again: there is no such span
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self._span.end()


class Queueings:
    """Begins them.

    Args:
        tracer: makes the spans.
        recorder: None where nothing is recorded.
    """

    def __init__(self, tracer: Tracer, recorder: Recorder | None) -> None:
        self._tracer = tracer
        self._recorder = recorder

    def begin(self, job: Any, queue: str, operation: str, role: str) -> Queueing | None:
        """The job is about to be queued, or kept until it can be: that is a call, and the job carries it."""
        try:
            before = call_of(job)
            function = "" if before is None else before.function
            parent = self._caller(before)
            span = self._tracer.start_span(
                f"{operation} {queue}",
                context=with_role(parent, role),
                kind=SpanKind.PRODUCER,
                attributes=attributes(job.id, queue, function, operation, "send" if role == "producer" else "create"),
            )
            return Queueing(job, Call(inject(trace.set_span_in_context(span, parent)), role, function), span)
        except Exception as error:
            log.failed("passing a context to a job", error)
            return None

    def _caller(self, call: Call | None) -> Context:
        """The context that a job is queued for: at first the current one, afterwards the one of its last call.

        What does not name a playback gives way to what does: an old job that a traced request queues again is its own.
        """
        current = otel_context.get_current()
        if call is None:
            return current
        own = extract(call.carrier, Context())
        candidates = (own, current) if call.role else (current, own)
        return next(filter(self.is_traced, candidates), candidates[0])

    def is_traced(self, context: Context) -> bool:
        """Whether it names a playback, in a process that records."""
        return self._recorder is not None and playback_of(context, self._recorder.settings) is not None


def queueing_of(job: Any) -> Queueing | None:
    """The queueing that goes on right now, if any."""
    queueing = getattr(job, _ATTRIBUTE, None)
    return queueing if isinstance(queueing, Queueing) else None


def made(
    queueing: Queueing | None, make: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], pipeline: Any
) -> Any:
    """Make the call; it is made once the caller's pipeline is executed where there is one."""
    if queueing is None:
        return make(*args, **kwargs)
    try:
        result = make(*args, **kwargs)
    except BaseException as error:
        queueing.end(error)
        raise
    if pipeline is None:
        queueing.end(None)
    else:
        when_executed(pipeline, queueing.end)
    return result
