"""The environment variables that carry a context into a command: written for a child, read when a process starts."""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_coverage import __version__
from otel_coverage.instrumentation.propagation import inject
from otel_coverage.tracing.context import awaiting_span, playback_of, with_entry
from otel_coverage.tracing.entry_point import EntryPoint
from otel_coverage.tracing.export.provider import spool_from_here
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder

# the names that OpenTelemetry gives its headers in an environment
VARIABLES = {"TRACEPARENT": "traceparent", "TRACESTATE": "tracestate", "BAGGAGE": "baggage"}

# the programs that CPython's multiprocessing starts
_OF_MULTIPROCESSING = re.compile(r"(import sys; )?from multiprocessing\.")

_end_span: Callable[[], None] | None = None


def child_environment(given: Mapping[Any, Any] | None) -> dict[Any, Any]:
    """The environment of a command started in the current context.

    Args:
        given: what the caller passes; None for this process's own. A variable that it sets itself, to something else
            than in this process, is kept.
    """
    environ: dict[Any, Any] = dict(os.environ if given is None else given)
    carrier = inject()
    for name, header in VARIABLES.items():
        if name in environ and environ[name] != os.environ.get(name):
            continue
        environ.pop(name, None)
        if header in carrier:
            environ[name] = carrier[header]
    return environ


def continue_environment(recorder: Recorder, provider: TracerProvider, environ: Mapping[str, str] = os.environ) -> None:
    """Where ``environ`` names a playback, begin a span of this process, and a recording, that last until its exit."""
    if "BAGGAGE" not in environ or any(_OF_MULTIPROCESSING.match(argument) for argument in sys.orig_argv):
        return  # a child of multiprocessing is sent its context, and its helper processes belong to no entry
    carrier = {header: environ[name] for name, header in VARIABLES.items() if name in environ}
    context = W3CBaggagePropagator().extract(carrier, TraceContextTextMapPropagator().extract(carrier, Context()))
    playback = playback_of(context, recorder.settings)
    if playback is None:
        return
    spool_from_here()  # it may end as soon as it has begun, and nobody is to wait for its connection
    entry = recorder.open(playback, SpanKind.INTERNAL)
    entry.found_by(lambda: EntryPoint(name=command_name(sys.orig_argv)))
    otel_context.attach(with_entry(context, entry, recorder.settings))
    with awaiting_span(entry):
        span = provider.get_tracer("otel_coverage", __version__).start_span(
            f"process {Path(sys.executable).name}",
            attributes={"process.pid": os.getpid(), "process.command_args": list(sys.orig_argv)},
        )
    otel_context.attach(trace.set_span_in_context(span))
    owner = os.getpid()

    def end() -> None:
        if os.getpid() != owner:
            return  # a forked child that runs its parent's exit handlers
        try:
            span.end()
        except Exception as error:
            log.failed("ending the process's span", error)
        recorder.close(entry)
        recorder.drain()

    global _end_span
    _end_span = end
    atexit.register(end)  # the provider's shutdown was registered earlier, so it runs later


def command_name(argv: Sequence[str]) -> str:
    """What a command is known by, without its arguments: ``python -m shop.figures``, ``import_stock.py``.

    Args:
        argv: the interpreter's, which comes first.
    """
    arguments = iter(argv[1:])
    for argument in arguments:
        if argument in ("-W", "-X"):
            next(arguments, None)
        elif argument.startswith("-m"):
            return f"python -m {argument[2:] or next(arguments, '')}"
        elif argument.startswith("-c"):
            return "python -c"
        elif argument == "-" or not argument.startswith("-"):
            return os.path.basename(argument)
    return "python"


def end_process_span() -> None:
    """End the span and the recording that :func:`continue_environment` began, if it did."""
    if _end_span is not None:
        _end_span()
