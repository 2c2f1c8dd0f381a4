"""``OTEL_PROPAGATORS``, which OpenTelemetry's API reads when it is imported, and raises for a name that it lacks."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from otel_coverage.errors import ConfigurationError


def check_propagators() -> None:
    """Check that what the variable names is installed.

    Raises:
        ConfigurationError: a propagator is not.
    """
    configured = os.environ.get("OTEL_PROPAGATORS", "")
    for chosen in configured.split(",") if configured else ():
        name = chosen.strip()
        if name.lower() == "none":
            return
        if not entry_points(group="opentelemetry_propagator", name=name):
            raise ConfigurationError(
                f"OTEL_PROPAGATORS names the propagator {name!r}, which is not installed; install its package, or "
                "unset the variable for tracecontext and baggage"
            )
