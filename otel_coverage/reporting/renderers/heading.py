"""What every JSON file of a report begins with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from otel_coverage.reporting.findings import Findings

SCHEMA_VERSION = 1


def heading(findings: Findings) -> dict[str, Any]:
    """What the file is about, and how far it can be trusted."""
    return {
        "schema_version": SCHEMA_VERSION,
        "revision": findings.revision,
        "namespace": findings.namespace,
        "services": list(findings.services),
        "newest_span": timestamp(findings.newest_span),
        "complete": findings.complete,
        "profiles": [
            {
                "profile": profile.name,
                "complete": profile.complete,
                "incomplete_reasons": list(profile.incomplete_reasons),
                "runs": profile.runs,
                "failed_runs": profile.failed_runs,
            }
            for profile in findings.profiles
        ],
    }


def timestamp(moment: datetime) -> str:
    """ISO 8601, in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def percent(part: int, whole: int) -> float | None:
    """With one decimal, None of nothing."""
    return round(100 * part / whole, 1) if whole else None
