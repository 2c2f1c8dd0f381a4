"""The gate of what tracing costs reads an interval, and says when that does not decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.artifacts import artifacts
from otel_coverage.gates.overhead import PerfBaseline, overhead, schema_text


def baseline(low: float, ratio: float, high: float, *profiles: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "revision": "abc",
        "measured_at": "2026-01-01T00:00:00Z",
        "environment": {"python": "3.13.1"},
        "confidence": 0.95,
        "overall": {"pairs": 20, "ratio": ratio, "low": low, "high": high},
        "profiles": list(profiles),
    }


def read(folder: Path, document: object) -> PerfBaseline:
    path = folder / "perf-baseline.json"
    path.write_text(json.dumps(document))
    return PerfBaseline.read(path)


SLOW = {"profile": "checkout", "pairs": 20, "ratio": 1.4, "low": 1.3, "high": 1.5}


@pytest.mark.parametrize(
    ("document", "verdict", "words"),
    [
        (baseline(1.02, 1.06, 1.1), "passed", "tracing takes 6.0 % (2.0 to 10.0) more, at most 25 % wanted"),
        (baseline(1.26, 1.3, 1.35), "failed", "30.0 % (26.0 to 35.0) more"),
        (baseline(1.1, 1.2, 1.3), "undecided", "the interval holds the limit; measure longer"),
        (baseline(1.02, 1.06, 1.1, SLOW), "failed", "; 1 profile more than that"),
    ],
)
def test_the_interval_is_judged(tmp_path: Path, document: dict[str, Any], verdict: str, words: str) -> None:
    Draft202012Validator(json.loads(schema_text())).validate(document)
    check = overhead(read(tmp_path, document), 25)
    assert check.verdict == verdict
    assert words in check.reason


def test_what_does_not_decide_can_be_accepted(tmp_path: Path) -> None:
    assert overhead(read(tmp_path, baseline(1.1, 1.2, 1.3)), 25, accept_incomplete=True).passed
    assert not overhead(read(tmp_path, baseline(1.1, 1.27, 1.3)), 25, accept_incomplete=True).passed


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ([], "expected an object with schema_version 1"),
        ({**baseline(1, 1, 1), "profiles": 3}, "profiles is 3, expected a list"),
        ({**baseline(1, 1, 1), "overall": None}, "overall is None, expected an object with ratio, low and high"),
        (baseline(1, 2, 1.5), "low 1, ratio 2, high 1.5: expected them in that order"),
        (baseline(1, 1, 1, {"ratio": 1, "low": 1, "high": 1}), r"profiles\[0\]: profile is '', expected its name"),
        ({**baseline(1, 1, 1), "confidence": True}, "confidence is True, expected a number above 0"),
    ],
)
def test_a_file_that_is_something_else_is_an_error(tmp_path: Path, document: object, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        read(tmp_path, document)


def test_artifacts_are_added_up_and_the_largest_named(tmp_path: Path) -> None:
    assert artifacts(tmp_path / "none", 10).verdict == "undecided"
    assert artifacts(tmp_path, 10).verdict == "undecided"
    (tmp_path / "html").mkdir()
    (tmp_path / "html/a.html").write_bytes(b"x" * 3000)
    (tmp_path / "matrix.json").write_bytes(b"x" * 1000)
    assert artifacts(tmp_path, 4000).passed
    check = artifacts(tmp_path, 3999)
    assert (check.verdict, [each.message for each in check.findings]) == (
        "failed",
        ["html/a.html: 3.0 kB", "matrix.json: 1.0 kB"],
    )
