"""Which Python functions each recorded workflow executes, inside the tracing pipeline that you already run.

In code: :func:`instrument` for an application with its jobs, or :class:`CoverageSpanProcessor` on a tracer
provider of one's own. Without code: ``otel-coverage run -- COMMAND``. Where a message is sent in a way that is not
instrumented, :func:`inject` returns what to put into it, and :func:`attached` is for the block that handles it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from otel_coverage.instrumentation.asgi import AsgiCoverageMiddleware
    from otel_coverage.instrumentation.propagation import attached, inject
    from otel_coverage.instrumentation.setup import instrument, uninstrument
    from otel_coverage.instrumentation.wsgi import CoverageMiddleware
    from otel_coverage.settings import Settings
    from otel_coverage.tracing.export.provider import flush
    from otel_coverage.tracing.processor import CoverageSpanProcessor
    from otel_coverage.tracing.sampler import CoverageSampler

__all__ = [
    "AsgiCoverageMiddleware",
    "CoverageMiddleware",
    "CoverageSampler",
    "CoverageSpanProcessor",
    "Settings",
    "__version__",
    "attached",
    "flush",
    "inject",
    "instrument",
    "uninstrument",
]

# each is imported when it is used: reports and collectors need no Flask, applications no more than they use
_MODULES = {
    "AsgiCoverageMiddleware": "otel_coverage.instrumentation.asgi",
    "CoverageMiddleware": "otel_coverage.instrumentation.wsgi",
    "CoverageSampler": "otel_coverage.tracing.sampler",
    "CoverageSpanProcessor": "otel_coverage.tracing.processor",
    "Settings": "otel_coverage.settings",
    "inject": "otel_coverage.instrumentation.propagation",
    "attached": "otel_coverage.instrumentation.propagation",
    "flush": "otel_coverage.tracing.export.provider",
    "instrument": "otel_coverage.instrumentation.setup",
    "uninstrument": "otel_coverage.instrumentation.setup",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
