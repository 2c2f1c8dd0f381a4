"""A process that a traced one started: its environment names the trace and the playback that it continues."""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_coverage import __version__
from otel_coverage.tracing.context import awaiting_span, playback_of, with_entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

_leave: Callable[[], None] | None = None

# what CPython's multiprocessing has a process of its own execute
_OF_MULTIPROCESSING = re.compile(r"(import sys; )?from multiprocessing\.")

# as OpenTelemetry spells its headers in an environment
VARIABLES = {"TRACEPARENT": "traceparent", "TRACESTATE": "tracestate", "BAGGAGE": "baggage"}


def continue_environment(recorder: Recorder, provider: TracerProvider, environ: Mapping[str, str] = os.environ) -> None:
    """Where ``environ`` names a playback, make a span of this process, from here to its exit, and record under it."""
    if "BAGGAGE" not in environ or any(_OF_MULTIPROCESSING.match(argument) for argument in sys.orig_argv):
        return  # what multiprocessing starts is told by whoever starts it, and its helpers work for everybody
    carrier = {header: environ[name] for name, header in VARIABLES.items() if name in environ}
    context = W3CBaggagePropagator().extract(carrier, TraceContextTextMapPropagator().extract(carrier, Context()))
    playback = playback_of(context, recorder.settings)
    if playback is None:
        return
    entry = recorder.open(playback, SpanKind.INTERNAL)
    otel_context.attach(with_entry(context, entry, recorder.settings))
    with awaiting_span(entry):
        span = provider.get_tracer("otel_coverage", __version__).start_span(
            f"process {Path(sys.executable).name}",
            attributes={"process.pid": os.getpid(), "process.command_args": list(sys.orig_argv)},
        )
    otel_context.attach(trace.set_span_in_context(span))
    owner = os.getpid()

    def leave() -> None:
        if os.getpid() != owner:
            return  # a fork that runs what its parent meant to run at exit
        try:
            span.end()
        except Exception as error:
            log.failed("ending the process's span", error)
        recorder.close(entry)
        recorder.drain()

    global _leave
    _leave = leave
    atexit.register(leave)  # the provider's shutdown was registered before, so it runs after


def leave_process() -> None:
    """This process is about to become another program: end its span, where it has one."""
    if _leave is not None:
        _leave()
