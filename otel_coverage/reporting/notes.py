"""What a reader has to know before believing the figures."""

from __future__ import annotations

from otel_coverage.reporting.findings import Findings, Profile
from otel_coverage.reporting.renderers.data_files import without_lines
from otel_coverage.slug import is_slug

_SHOWN = 5


def doubts(profile: Profile) -> str:
    """Why a profile's figures may be too low; empty where nothing says so."""
    reasons = [f"{profile.failed_runs} of {profile.runs} runs failed"] if profile.failed_runs else []
    if not profile.complete:
        reasons.extend(profile.incomplete_reasons or ("no run of it is known",))
    return "; ".join(reasons)


def notes(findings: Findings, unresolved: tuple[str, ...]) -> tuple[str, ...]:
    """Sentences about what this report could not do.

    Args:
        findings: what the report tells.
        unresolved: executed files that the source tree does not have.
    """
    found: list[str] = []
    if not findings.catalog:
        found.append(
            "No catalog was pushed for this revision, so nothing is known about gaps and shares: "
            "`otel-coverage catalog push` at this revision, then report again."
        )
    if unresolved:
        found.append(f"Not in the source tree, so in no data file: {_listed(unresolved)}.")
    bare = without_lines(findings)
    if bare:
        found.append(f"Recorded by function alone, so without a data file: {_listed(bare)}.")
    if findings.half_branched:
        found.append(f"Recorded in part without branches, so with lines alone: {_listed(findings.half_branched)}.")
    odd = tuple(profile.name for profile in findings.profiles if not is_slug(profile.name))
    if odd:
        found.append(f"Not the name of a profile, so without a data file: {_listed(odd)}.")
    return tuple(found)


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
