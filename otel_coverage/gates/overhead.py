"""Tracing costs at most so much: read from ``perf-baseline.json``, in which that was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.evidence import short_revision
from otel_coverage.gates.outcome import FAILED, PASSED, UNDECIDED, Check, Finding
from otel_coverage.printable import counted

FILE = "perf-baseline.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Ratio:
    """How long something takes with tracing, in times of how long it takes without.

    Attributes:
        name: of the profile; empty for all of them.
        ratio: the estimate.
        low, high: the ends of its confidence interval.
    """

    name: str
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PerfBaseline:
    """The file.

    Attributes:
        path: its name.
        revision: of the application that was measured.
        confidence: of the intervals, such as 0.95.
        overall: of all profiles together.
        profiles: of each.
        measured_at: when, as the file has it.
    """

    path: Path
    revision: str
    confidence: float
    overall: Ratio
    profiles: tuple[Ratio, ...]
    measured_at: str = ""

    @classmethod
    def read(cls, path: Path) -> PerfBaseline:
        """Read the file; its JSON Schema is :func:`schema_text`.

        Raises:
            ConfigurationError: there is none, or it is something else; the message says where.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"--overhead {path}: cannot be read: {error}") from error
        except ValueError as error:
            raise ConfigurationError(f"{path}: not JSON: {error}") from error
        if not isinstance(found, dict) or found.get("schema_version") != SCHEMA_VERSION:
            raise ConfigurationError(
                f"{path}: no perf-baseline.json: expected an object with schema_version {SCHEMA_VERSION}"
            )
        profiles = found.get("profiles")
        if not isinstance(profiles, list):
            raise ConfigurationError(f"{path}: profiles is {profiles!r}, expected a list")
        return cls(
            path,
            str(found.get("revision", "")),
            _number(found, "confidence", f"{path}"),
            _ratio(found.get("overall"), "", f"{path}: overall"),
            tuple(_ratio(each, None, f"{path}: profiles[{place}]") for place, each in enumerate(profiles)),
            str(found.get("measured_at", "")),
        )


def overhead(baseline: PerfBaseline, limit: float, *, accept_incomplete: bool = False) -> Check:
    """Judge the interval, not the estimate: undecided where the limit lies inside it.

    Args:
        baseline: what was measured.
        limit: in percent.
        accept_incomplete: judge the estimate where the interval does not decide.
    """
    most = 1 + limit / 100
    slow = [each for each in baseline.profiles if each.low > most]
    findings = tuple(
        Finding(
            f"{each.name} takes {_more(each)} more with tracing, at most {limit:g} % wanted",
            "Overhead",
            str(baseline.path),
        )
        for each in sorted(slow, key=lambda each: -each.ratio)
    )
    overall = baseline.overall
    figures = {"ratio": overall.ratio, "low": overall.low, "high": overall.high, "at_most": most}
    said = f"tracing takes {_more(overall)} more, at most {limit:g} % wanted"
    if overall.low > most or slow:
        beside = f"; {counted(len(slow), 'profile')} more than that" if slow else ""
        return Check("overhead", FAILED, said + beside, findings, figures)
    if overall.high <= most or (accept_incomplete and overall.ratio <= most):
        return Check("overhead", PASSED, said, findings, figures)
    if accept_incomplete:
        return Check("overhead", FAILED, said, findings, figures)
    return Check("overhead", UNDECIDED, f"{said}: the interval holds the limit; measure longer", findings, figures)


def sentence(baseline: PerfBaseline) -> str:
    """What was measured, for a summary."""
    when = f" on {baseline.measured_at[:10]}" if baseline.measured_at else ""
    revision = short_revision(baseline.revision) if baseline.revision else "an unknown one"
    return f"Tracing takes {_more(baseline.overall)} more time, as measured{when} at revision {revision}."


def schema_text() -> str:
    """The JSON Schema of the file."""
    return resources.files(__package__).joinpath("perf-baseline.schema.json").read_text("utf-8")


def _more(ratio: Ratio) -> str:
    return f"{100 * (ratio.ratio - 1):.1f} % ({100 * (ratio.low - 1):.1f} to {100 * (ratio.high - 1):.1f})"


def _ratio(found: object, name: str | None, where: str) -> Ratio:
    if not isinstance(found, dict):
        raise ConfigurationError(f"{where} is {found!r}, expected an object with ratio, low and high")
    if name is None:
        name = found.get("profile", "")
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"{where}: profile is {name!r}, expected its name")
    low, ratio, high = (_number(found, key, where) for key in ("low", "ratio", "high"))
    if not low <= ratio <= high:
        raise ConfigurationError(f"{where}: low {low:g}, ratio {ratio:g}, high {high:g}: expected them in that order")
    return Ratio(name, ratio, low, high)


def _number(found: Mapping[str, Any], key: str, where: str) -> float:
    value = found.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{where}: {key} is {value!r}, expected a number above 0")
    return float(value)
