"""Applications that tests call in their own process: recorded there, unless another tool needs what that takes."""

from __future__ import annotations

import sys
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from otel_coverage.errors import OtelCoverageError
from otel_coverage.settings import Settings

_FLUSH_SECONDS = 5.0


class Applications:
    """The applications of this process that a test client calls.

    Args:
        config: pytest's.
        settings: what is recorded of them.

    Attributes:
        notes: what the user has to know at the end.
        are_traced: whether any of them is.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.notes: set[str] = set()
        self.are_traced = False
        self._known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
        self._settings = settings
        self._folder = str(config.rootpath)
        self._is_wanted = bool(config.getini("playback_in_process"))
        self._has_coverage = config.pluginmanager.hasplugin("_cov")

    def make_traced(self, application: object) -> bool:
        """Have traced requests to an application recorded, from the first one on. Returns whether they are."""
        try:
            known = self._known.get(application)
        except TypeError:  # nothing refers to it weakly
            return False
        if known is None:
            known = self._known[application] = self._is_wanted and self._instrument(application)
            self.are_traced = self.are_traced or known
        return known

    def flush(self, timeout: float) -> None:
        """Leave what was recorded to the spool, or send it."""
        if self.are_traced:
            from otel_coverage.tracing.export.provider import flush

            flush(min(timeout, _FLUSH_SECONDS) or 1.0)

    def release(self) -> None:
        """Record no more."""
        if self.are_traced:
            from otel_coverage.instrumentation.setup import uninstrument

            self.are_traced = False
            uninstrument()

    def _instrument(self, application: object) -> bool:
        named = application if hasattr(application, "__qualname__") else type(application)
        kind = f"{named.__module__}.{getattr(named, '__qualname__', '')}"
        problem = self._problem()
        if problem is not None:
            self.notes.add(problem)
            return False
        from otel_coverage.instrumentation.setup import instrument

        try:
            instrument(application, enabled=True, folder=self._folder)
        except OtelCoverageError as error:
            self.notes.add(f"the application in this process ({kind}) is not recorded: {error}")
            return False
        except Exception as error:
            self.notes.add(
                f"the application in this process ({kind}) is not recorded: {type(error).__name__}: {error}; wrap it "
                "in otel_coverage.CoverageMiddleware or AsgiCoverageMiddleware"
            )
            return False
        return True

    def _problem(self) -> str | None:
        """Why nothing can be recorded in this process; None where nothing speaks against it."""
        uses_trace_function = self._settings.engine == "coverage" or sys.version_info < (3, 12)
        if uses_trace_function and sys.gettrace() is not None:
            what = "pytest-cov" if self._has_coverage else "another tool"
            return (
                f"the application in this process is not recorded: {what} measures with the interpreter's one trace "
                "function, which engine 'coverage' needs, too; run without it (--no-cov), on CPython 3.12 or newer "
                "with engine 'monitoring', or play against a server of its own"
            )
        return None
