"""Contexts that the application itself attaches: a thread of its own that takes work from a queue, for whoever gave it.

Engine ``monitoring`` finds the recording in the context. Engine ``coverage`` has to be notified, or it does not see the
thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.entry import Entry
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder


def instrument_attached_contexts(patches: Patches, recorder: Recorder) -> None:
    """Record what a thread runs between attaching the context of an entry and detaching it."""
    hooks = _Hooks(recorder)
    patches.wrap(ContextVarsRuntimeContext, "attach", hooks.attach)
    patches.wrap(ContextVarsRuntimeContext, "detach", hooks.detach)


class _Hooks:
    """The wrappers. A failure in them is logged and counted; the context is attached all the same."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        # by the token's id, with the token: it cannot be hashed, and its id is not used again while it is kept
        self._entered: dict[int, tuple[Any, Entry, Callable[[], None]]] = {}

    def attach(self, attach: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``attach`` of OpenTelemetry's runtime context, which its function of that name calls."""
        token = attach(*args, **kwargs)
        if self._recorder.is_recording:
            entry = entry_of(args[0] if args else kwargs["context"])
            if entry is not None:
                self._enter(entry, token)
        return token

    def detach(self, detach: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``detach`` of the same."""
        if self._entered:
            self._leave(args[0] if args else kwargs.get("token"))
        return detach(*args, **kwargs)

    def _enter(self, entry: Entry, token: Any) -> None:
        try:
            leave = self._recorder.enter(entry)
            if leave is None:
                return
            for key, (_, other, _) in list(self._entered.items()):
                if not other.is_open:  # its context was never detached
                    self._entered.pop(key, None)
            self._entered[id(token)] = token, entry, leave
        except Exception as error:
            log.failed("following an attached context", error)
            entry.mark_incomplete("hook_failed", f"a thread that attached its context could not be followed: {error}")

    def _leave(self, token: Any) -> None:
        _, entry, leave = self._entered.pop(id(token), (None, None, None))
        if entry is None or leave is None:
            return
        try:
            leave()
        except Exception as error:
            log.failed("leaving an attached context", error)
            entry.mark_incomplete("hook_failed", f"a thread that attached its context could not be followed: {error}")
