"""Where a traced context keeps its playback and its recording: in OpenTelemetry's own context.

So whatever carries the trace (threads, tasks, messages to other processes) carries them too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from otel_coverage.errors import ConfigurationError
from otel_coverage.recording import CurrentRecording
from otel_coverage.slug import is_slug
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import (
    PREFIX,
    PROFILE,
    RUN_ID,
    SIGNATURE,
    SIGNATURE_HOURS,
    STARTUP,
    Playback,
    sign,
    verify,
)

if TYPE_CHECKING:
    from otel_coverage.settings import Settings
    from otel_coverage.tracing.entry import Entry

RECORDING = "otel_coverage.recording"
ENTRY = "otel_coverage.entry"
ROLE = "otel_coverage.role"
IS_STARTUP = "otel_coverage.startup"  # instead of baggage, which would be sent

entry_awaiting_span: ContextVar[Entry | None] = ContextVar("otel_coverage_entry_awaiting_span", default=None)
"""The entry that a hook opened and whose span may start now.

Not in OpenTelemetry's context: Flask's instrumentation starts its SERVER span in a context made from the request's
headers alone, whatever ``OTEL_PROPAGATORS`` reads of them, in which nothing is left of what our WSGI hook attached.
"""


def current_recording() -> CurrentRecording:
    """Where an engine finds the recording of the code that runs.

    Raises:
        ConfigurationError: OpenTelemetry's runtime context is not its own, which is one ContextVar.
    """
    runtime = otel_context._RUNTIME_CONTEXT
    variable = getattr(runtime, "_current_context", None)
    if not isinstance(runtime, ContextVarsRuntimeContext) or not isinstance(variable, ContextVar):
        raise ConfigurationError(
            f"OTEL_PYTHON_CONTEXT chose {type(runtime).__name__}; coverage is recorded only with OpenTelemetry's own "
            "contextvars_context: unset the variable"
        )
    return CurrentRecording(variable, RECORDING)


@contextmanager
def awaiting_span(entry: Entry) -> Iterator[None]:
    """In this block the first span of the entry's kind that starts is its entry span."""
    token = entry_awaiting_span.set(entry)
    try:
        yield
    finally:
        entry_awaiting_span.reset(token)


def playback_of(context: Context, settings: Settings) -> Playback | None:
    """The playback that the baggage names; None where it names none, a malformed one, or one without the signature that
    a token in ``settings`` requires.
    """
    entries = baggage.get_all(context)
    profile = entries.get(PROFILE)
    if not isinstance(profile, str) or not is_slug(profile):
        return STARTUP if context.get(IS_STARTUP) else None
    run_id = entries.get(RUN_ID)
    if not isinstance(run_id, str) or not is_slug(run_id):
        run_id = ""
    if settings.token is not None:
        signature = entries.get(SIGNATURE)
        if not isinstance(signature, str) or not verify(settings.token, profile, run_id, signature):
            log.warn(
                "refused_contexts",
                "coverage: a job or process of profile %s is not recorded: its baggage lacks a playback.sig that "
                "holds, required as OTEL_COVERAGE_TOKEN is set; one holds for %d hours",
                profile,
                SIGNATURE_HOURS,
            )
            return None
    return Playback(profile, run_id or settings.run_id or "")


def baggage_entries(playback: Playback, settings: Settings) -> dict[str, str]:
    """The baggage entries of a playback, its signature included where a token is set."""
    entries = {PROFILE: playback.profile}
    if playback.run_id:
        entries[RUN_ID] = playback.run_id
    if settings.token is not None:
        entries[SIGNATURE] = sign(settings.token, playback.profile, playback.run_id)
    return entries


def with_playback(context: Context, playback: Playback, settings: Settings) -> Context:
    """``context`` with the playback, and no other, in its baggage.

    Its entries come first: a propagator writes at most 180 entries and 8,192 bytes, and cuts what comes after.
    """
    if playback is STARTUP:
        return otel_context.set_value(IS_STARTUP, True, without_playback(context))
    found, own = baggage.get_all(context), baggage_entries(playback, settings)
    if list(found.items()) == list(own.items()):
        return context
    others = {name: value for name, value in found.items() if not name.startswith(PREFIX)}
    if list(found.items()) == [*own.items(), *others.items()]:
        return context
    context = baggage.clear(context) if others else without_playback(context)
    for name, value in (own | others).items():
        context = baggage.set_baggage(name, value, context)
    return context


def without_playback(context: Context) -> Context:
    """``context`` without the baggage entries of a playback."""
    for name in [name for name in baggage.get_all(context) if name.startswith(PREFIX)]:
        context = baggage.remove_baggage(name, context)
    return context


def entry_of(context: Context) -> Entry | None:
    """The open entry that code running in ``context`` is recorded in."""
    entry: Entry | None = context.get(ENTRY)  # type: ignore[assignment]
    return entry if entry is not None and entry.is_open else None


def with_entry(context: Context, entry: Entry, settings: Settings) -> Context:
    """``context`` in which code is recorded in ``entry``, with its playback in the baggage."""
    context = with_playback(context, entry.playback, settings)
    return Context({**context, ENTRY: entry, RECORDING: entry.recording})


def with_role(context: Context, role: str) -> Context:
    """``context`` for starting one span, which is to have that ``coverage.role`` where it is traced."""
    return otel_context.set_value(ROLE, role, context)


def role_of(context: Context) -> str | None:
    """The ``coverage.role`` that a span started in ``context`` is to have; None where nothing says so."""
    return cast("str | None", context.get(ROLE))
