"""What every JSON file of a report begins with, and how JSON has the values of a query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.times import timestamp

SCHEMA_VERSION = 1

_PROFILE = ("profile", "complete", "incomplete_reasons", "incomplete_details", "runs", "failed_runs", "counted_runs")


def heading(queries: RevisionQueries) -> dict[str, Any]:
    """What every JSON file begins with: what it is about, and whether coverage is known to be missing."""
    return {
        "schema_version": SCHEMA_VERSION,
        "revision": queries.revision,
        "namespace": queries.namespace,
        "services": list(queries.services),
        "selection": queries.selection.document,
        "newest_span": timestamp(queries.newest_span),
        "complete": queries.complete,
        "problems": list(queries.problems),
        "profiles": list(records(queries.profiles, _PROFILE)),
    }


def records(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Some columns of each row, as JSON has them."""
    return ({column: json_value(row[column]) for column in columns} for row in rows)


def json_value(value: Any) -> Any:
    """A value of a query's answer: times as text, all else as it is."""
    return timestamp(value) if isinstance(value, datetime) else value
