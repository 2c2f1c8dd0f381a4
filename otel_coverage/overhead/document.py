"""``perf-baseline.json``: what was measured, as a document; its JSON Schema is in ``gates/``."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from typing import Any

from otel_coverage import __version__
from otel_coverage.gates.overhead import SCHEMA_VERSION
from otel_coverage.overhead.measurement import Figures, Measured

_DIGITS = 4


def document(measured: Measured, revision: str, measured_at: datetime) -> dict[str, Any]:
    """The file's content.

    Args:
        measured: what was measured.
        revision: of the application.
        measured_at: when that began.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "revision": revision,
        "measured_at": f"{measured_at.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "environment": environment(),
        "confidence": measured.stop.confidence,
        "precision": {"wanted": measured.stop.precision, "reached": measured.is_precise},
        "overall": _figures(measured.overall),
        "profiles": [{"profile": slug, **_figures(figures)} for slug, figures in measured.profiles.items()],
    }


def environment() -> dict[str, str]:
    """What the figures depend on, as far as the client knows it: the machine that it ran on."""
    return {
        "client_python": platform.python_version(),
        "machine": platform.machine(),
        "otel_coverage": __version__,
        "processors": str(os.cpu_count()),
        "system": platform.system(),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    ratio = figures.ratio
    return {
        "pairs": len(figures.pairs),
        "plain_seconds": round(figures.plain_seconds, 6),
        "traced_seconds": round(figures.traced_seconds, 6),
        "ratio": round(ratio.ratio, _DIGITS),
        "low": round(ratio.low, _DIGITS),
        "high": round(ratio.high, _DIGITS),
    }
