"""``redundancy.json``: what each profile adds to the others, and a small set of them that executes as much as all."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otel_coverage.reporting.documents import json_text, write_text
from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.renderers.heading import heading
from otel_coverage.store.smallest_set import smallest_set


def render(findings: Findings, folder: Path) -> None:
    """A record for each profile, those that add the least first, and the set in the order of choice."""
    executed = {profile: {str(symbol) for symbol in hits} for profile, hits in findings.hits.items()}
    chosen = [asdict(step) for step in smallest_set(executed)]
    document = {**heading(findings), "redundancy": redundancy(findings), "smallest_set": chosen}
    write_text(folder / "redundancy.json", json_text(document))


def redundancy(findings: Findings) -> list[dict[str, Any]]:
    """Each profile with how many functions only it executes, and the others that each execute all that it does."""
    executed = {profile.name: findings.hits.get(profile.name, {}).keys() for profile in findings.profiles}
    alone = Counter(profiles[0] for profiles in findings.profiles_of.values() if len(profiles) == 1)
    records = [
        {
            "profile": profile,
            "functions": len(functions),
            "unique_functions": alone[profile],
            "contained_in": [
                other for other, others in sorted(executed.items()) if other != profile and functions <= others
            ],
        }
        for profile, functions in executed.items()
    ]
    return sorted(records, key=lambda record: (record["unique_functions"], record["functions"], record["profile"]))
