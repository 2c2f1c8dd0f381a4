"""Whether all of a run arrived, as a check."""

from __future__ import annotations

from otel_coverage.gates.outcome import FAILED, PASSED, Check, Finding
from otel_coverage.printable import counted
from otel_coverage.reporting.verification import Verification


def check_of(found: Verification) -> Check:
    """A verification as a check: each thing that is missing is a finding, each that could not be checked a notice."""
    missing = tuple(
        Finding(f"{each.profile or 'the store'}: {each.kind} {each.name}: {each.reason}: {each.detail}", each.reason)
        for each in found.findings
    )
    notes = tuple(Finding(note, "Not checked", level="notice") for note in found.notes)
    figures = {"profiles": found.profiles, "requests": found.requests, "jobs": found.jobs, "missing": len(missing)}
    if found.complete:
        return Check(f"run {found.run}", PASSED, f"all of it arrived: {arrived(found)}", notes, figures)
    count = counted(len(missing), "finding")
    return Check(
        f"run {found.run}", FAILED, f"incomplete: {count}; what arrived: {arrived(found)}", (*missing, *notes), figures
    )


def arrived(found: Verification) -> str:
    """What arrived, in words."""
    counts = {
        "profile": found.profiles,
        "request": found.requests,
        "job": found.jobs,
        "command": found.processes,
    }
    return ", ".join(counted(count, name) for name, count in counts.items())
