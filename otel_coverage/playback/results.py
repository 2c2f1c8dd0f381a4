"""What a playback session leaves behind for programs and CI systems: ``result.json`` and JUnit XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree

from otel_coverage.playback.outcome import Outcome
from otel_coverage.printable import printable

VERSION = 1


@dataclass(frozen=True, slots=True)
class Session:
    """What was played.

    Attributes:
        run_id: of the first repetition.
        base_url: of the application.
        began: when.
        seconds: duration.
        profiles: slugs that were to be played, in order.
        repeat: how often each was.
        outcomes: of those that were.
        is_traced: whether requests named their profile.
    """

    run_id: str
    base_url: str
    began: datetime
    seconds: float
    profiles: Sequence[str]
    repeat: int
    outcomes: Sequence[Outcome]
    is_traced: bool

    def as_json(self) -> dict[str, Any]:
        """The content of ``result.json``."""
        outcomes = sorted(self.outcomes, key=lambda each: (each.profile, each.run_id))
        absent = self.not_played()
        is_passed = not absent and all(each.passed for each in outcomes)
        return {
            "schema_version": VERSION,
            "run_id": self.run_id,
            "base_url": self.base_url,
            "began": f"{self.began.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
            "seconds": round(self.seconds, 3),
            "traced": self.is_traced,
            "outcome": "passed" if is_passed else "failed",
            "not_played": absent,
            "profiles": [{**each.as_json(), "steps": _steps(each)} for each in outcomes],
        }

    def not_played(self) -> list[str]:
        """Profiles that were not played as often as they were to be: the command was interrupted. Sorted."""
        played = Counter(each.profile for each in self.outcomes)
        return sorted(each for each in self.profiles if played[each] < self.repeat)

    def as_junit(self) -> str:
        """JUnit XML: a suite for each profile and repetition, a case for each of its requests."""
        suites = ElementTree.Element("testsuites", name=f"playback {self.run_id}", time=f"{self.seconds:.3f}")
        totals = {"tests": 0, "failures": 0, "skipped": 0}
        for outcome in sorted(self.outcomes, key=lambda each: (each.profile, each.run_id)):
            suite = ElementTree.SubElement(suites, "testsuite", name=outcome.profile)
            properties = ElementTree.SubElement(suite, "properties")
            ElementTree.SubElement(properties, "property", name="run_id", value=outcome.run_id)
            for step in outcome.steps:
                name = printable(f"line {step.line}: {step.method} {step.path}")
                case = ElementTree.SubElement(
                    suite, "testcase", classname=outcome.profile, name=name, time=f"{step.seconds:.3f}"
                )
                if step.word == "not sent":
                    ElementTree.SubElement(case, "skipped", message="not sent: an earlier request failed")
                elif step.failure is not None:
                    ElementTree.SubElement(case, "failure", message=printable(step.failure), type="playback")
            if outcome.failure is not None and suite.find("testcase/failure") is None:
                case = ElementTree.SubElement(suite, "testcase", classname=outcome.profile, name="whole profile")
                ElementTree.SubElement(case, "failure", message=printable(outcome.failure), type="playback")
            counts = {
                "tests": len(suite.findall("testcase")),
                "failures": len(suite.findall("testcase/failure")),
                "skipped": len(suite.findall("testcase/skipped")),
            }
            suite.attrib.update({name: str(number) for name, number in counts.items()}, time=f"{outcome.seconds:.3f}")
            totals = {name: number + counts[name] for name, number in totals.items()}
        for profile in self.not_played():
            counts = {"tests": 1, "failures": 1, "skipped": 0}
            texts = {name: str(number) for name, number in counts.items()}
            suite = ElementTree.SubElement(suites, "testsuite", texts, name=profile)
            case = ElementTree.SubElement(suite, "testcase", classname=profile, name="whole profile")
            ElementTree.SubElement(case, "failure", message="not played to its end: interrupted", type="playback")
            totals = {name: number + counts[name] for name, number in totals.items()}
        suites.attrib.update({name: str(number) for name, number in totals.items()})
        ElementTree.indent(suites)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _steps(outcome: Outcome) -> list[dict[str, Any]]:
    return [{**asdict(step), "seconds": round(step.seconds, 3), "outcome": step.word} for step in outcome.steps]
