"""Greenlets of gevent that traced code spawns: gevent starts each with a context that is empty."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from opentelemetry import context as otel_context

from otel_coverage.instrumentation.threads import Carried
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.log import log
from otel_coverage.tracing.pending import PendingWork
from otel_coverage.tracing.recorder import Recorder

_release: Callable[[], None] | None = None


def hook_greenlets(recorder: Recorder) -> None:
    """Have greenlets run for who spawned them. Doing it twice changes nothing."""
    global _release
    if _release is not None:
        return
    greenlets = importlib.import_module("gevent").Greenlet

    def spawned(greenlet: Any) -> None:
        try:
            _spawned(greenlet, recorder)
        except Exception as error:
            log.failed("following a greenlet", error)

    greenlets.add_spawn_callback(spawned)
    _release = functools.partial(greenlets.remove_spawn_callback, spawned)


def release_greenlets() -> None:
    """Undo :func:`hook_greenlets`."""
    global _release
    release, _release = _release, None
    if release is not None:
        release()


def _spawned(greenlet: Any, recorder: Recorder) -> None:
    entry = entry_of(otel_context.get_current())
    function = greenlet._run
    if entry is None or getattr(function, "__module__", None) == "threading":  # a thread's, followed as that
        return
    work = PendingWork(function)
    greenlet._run = Carried(function, work)
    recorder.add_pending(entry, work)
