"""What a change concerns as JSON: the object that ``otel-coverage impacted`` prints, and a CI job's matrix."""

from __future__ import annotations

import json
from typing import Any

from otel_coverage.impact.findings import ChangedFunction
from otel_coverage.impact.impact import Found
from otel_coverage.source import encodable

SCHEMA_VERSION = 1


def document(found: Found) -> dict[str, Any]:
    """The object, as ``impacted.schema.json`` describes it."""
    impact = found.impact
    places = {reason: place for place, reason in enumerate(impact.reasons)}
    return {
        "schema_version": SCHEMA_VERSION,
        "base": found.base,
        "merge_base": found.merge_base,
        "head": found.head,
        "coverage_revision": found.revision,
        "files": impact.files,
        "inert_files": [encodable(path) for path in impact.inert],
        "counts": {
            "profiles": len(impact.profiles),
            "selected": len(impact.selected),
            "functions": len(impact.functions),
            "not_reached": len(impact.not_reached),
        },
        "selected": [
            {"profile": name, "reasons": [places[reason] for reason in reasons]}
            for name, reasons in impact.selected.items()
        ],
        "spared": impact.spared,
        "reasons": [
            {
                "code": each.code,
                "detail": encodable(each.detail),
                "file": encodable(each.file) or None,
                "symbol": each.symbol or None,
                "everyone": each.everyone,
                "profiles": len(each.profiles),
            }
            for each in impact.reasons
        ],
        "functions": [_function(each) for each in impact.functions],
        "entry_points": [
            {"service": service, "kind": kind, "entry_point": name} for service, kind, name in impact.entry_points
        ],
    }


def matrix(found: Found) -> str:
    """The value of a CI job's ``strategy.matrix``, on one line: a job for each profile to replay."""
    return json.dumps({"profile": list(found.impact.selected)}, separators=(",", ":")) + "\n"


def _function(each: ChangedFunction) -> dict[str, Any]:
    return {
        "symbol": each.symbol,
        "change": each.change,
        "file": encodable(each.file),
        "line": each.line,
        "end_line": each.end_line,
        "profiles": list(each.profiles),
        "at_start": each.at_start,
        "reached": not each.is_risk,
    }
