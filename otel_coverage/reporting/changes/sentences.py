"""A comparison in a few sentences, for a summary."""

from __future__ import annotations

from collections.abc import Iterator

from otel_coverage.reporting.changes.comparison import COMPARED, Comparison
from otel_coverage.reporting.lost_runs import quoted


def sentences(comparison: Comparison) -> Iterator[str]:
    """What was gained and lost, what became of the code, and why something is not known."""
    counts = comparison.counts
    for what in ("functions", "lines", "entry points"):
        key = what.replace(" ", "_")
        gained, lost, unknown = (counts[f"{key}_{change}"] for change in ("gained", "lost", "unknown"))
        if gained is None:
            yield f"{what.capitalize()}: unknown."
        else:
            removed = counts["functions_lost_removed"] if what == "functions" else 0
            of_it = f" ({removed} of them removed from the code)" if removed else ""
            maybe = f", {unknown} unknown: coverage is missing, or a profile was not played" if unknown else ""
            yield f"{what.capitalize()}: {gained} gained, {lost} lost{of_it}{maybe}."
    if not comparison.code.known:
        missing = [side.revision or "unknown" for side in (comparison.base, comparison.now) if not side.has_catalog]
        yield f"What changed in the code is unknown: no catalog was pushed for {quoted(missing)}."
    else:
        doubt = "" if comparison.now.complete else " What is not executed is not certain: coverage is missing."
        yield (
            f"New functions: {counts['new_run']} executed, {counts['new_not_run']} not. Changed functions: "
            f"{counts['changed_run']} executed, {counts['changed_not_run']} not. Removed: {counts['removed']}.{doubt}"
        )
    unsure = [each.profile for each in comparison.profiles if each.status == COMPARED and each.reason]
    if unsure:
        yield f"Not all is known of {quoted(unsure)}: coverage is missing, or a run failed."
    for status, text in (("new", "Played now only"), ("not played", "Not played now")):
        names = [each.profile for each in comparison.profiles if each.status == status]
        if names:
            yield f"{text}: {quoted(names)}."
