"""What a check found: a verdict with its reason, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from otel_coverage.source import encodable

SCHEMA_VERSION = 1

Verdict = Literal["passed", "failed", "undecided"]
Level = Literal["error", "warning", "notice"]

PASSED: Verdict = "passed"
FAILED: Verdict = "failed"
UNDECIDED: Verdict = "undecided"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks for or against.

    Attributes:
        message: a sentence.
        title: what it is about, a few words.
        file: below the repository's folder; empty where it is in no file.
        line, end_line: in that file; 0 for none.
        level: how much it matters; an error is why a check did not pass.
    """

    message: str
    title: str = ""
    file: str = ""
    line: int = 0
    end_line: int = 0
    level: Level = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: which, a few words.
        verdict: ``undecided`` where what is known does not decide.
        reason: a sentence.
        findings: the most important first.
        figures: what was measured, ready for JSON.
    """

    name: str
    verdict: Verdict
    reason: str
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether it says yes."""
        return self.verdict == PASSED


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """The checks, ready for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "passed": all(check.passed for check in checks),
        "checks": [
            {
                "name": check.name,
                "verdict": check.verdict,
                "reason": encodable(check.reason),
                "figures": dict(check.figures),
                "findings": [
                    {
                        "level": each.level,
                        "title": each.title,
                        "message": encodable(each.message),
                        "file": encodable(each.file) or None,
                        "line": each.line or None,
                        "end_line": each.end_line or None,
                    }
                    for each in check.findings
                ],
            }
            for check in checks
        ],
    }
