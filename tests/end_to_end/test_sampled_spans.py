"""What a collector has to keep: the spans that the condition of ``otelcol-contrib.sampling.yaml`` finds."""

from __future__ import annotations

from pathlib import Path

from tests.end_to_end import two_nights

_TOLD = """
SELECT SpanAttributes['coverage.role'] AS role, countIf(NOT mapContains(SpanAttributes, 'playback.profile')) AS not_kept
FROM otel_traces
WHERE arrayExists(name -> startsWith(name, 'coverage.') OR name = 'playback.steps', mapKeys(SpanAttributes))
GROUP BY role
ORDER BY role
"""


def test_every_span_that_says_anything_of_coverage_names_a_profile(two_nights_store: Path) -> None:
    """URL maps and starts name ``_startup``; counts, plans and results of runs the profile that they are about."""
    found = two_nights.answers(two_nights_store, {"told": _TOLD})["told"]
    assert [row["role"] for row in found if row["not_kept"]] == []
    roles = {row["role"] for row in found}
    assert {"client", "server", "producer", "consumer", "plan", "played", "counts", "routes"} <= roles
