"""``result.json`` and JUnit XML of a session, whatever became of it."""

from __future__ import annotations

from datetime import datetime, timezone
from xml.etree import ElementTree

from jsonschema import Draft202012Validator

from otel_coverage.playback import Outcome
from otel_coverage.playback.outcome import StepResult
from otel_coverage.playback.results import Session
from otel_coverage.playback.schemas import schema

BEGAN = datetime(2026, 11, 26, 3, 40, tzinfo=timezone.utc)
SENT, UNSENT = StepResult(2, "GET", "/a", 302, 200, 0.25, 1), StepResult(3, "GET", "/b")
FAILED = StepResult(2, "POST", "/<a>&\x00\u2028", None, None, 1.5, 3, "no answer \x1b within 1 s")


def session(*outcomes: Outcome, repeat: int = 1) -> Session:
    return Session("night-1", "http://127.0.0.1:8000", BEGAN, 2.5, ["b", "a"], repeat, outcomes, True)


def outcome(profile: str, *steps: StepResult, run: str = "night-1", failure: str | None = None) -> Outcome:
    return Outcome(profile, run, f"{profile}-1", 1, 1, 0, 0.5, failure, steps)


def test_a_session_that_was_interrupted_has_not_passed_and_names_what_was_not_played() -> None:
    one = outcome("a", SENT)
    for interrupted, absent in ((session(one), ["b"]), (session(one, outcome("b", SENT), repeat=2), ["a", "b"])):
        document = interrupted.as_json()
        assert list(Draft202012Validator(schema("result.json")).iter_errors(document)) == []
        assert (document["outcome"], document["not_played"]) == ("failed", absent)
        suites = ElementTree.fromstring(interrupted.as_junit())
        assert suites.get("failures") == str(len(absent))
        assert [suite.get("name") for suite in suites if suite.get("failures") != "0"] == absent


def test_each_request_is_a_case_and_a_job_that_failed_after_all_of_them_is_one_too() -> None:
    played = session(
        outcome("a", SENT, failure="job j1 failed"), outcome("b", FAILED, UNSENT, failure="line 2: no answer")
    )
    suites = ElementTree.fromstring(played.as_junit())
    assert {name: suites.get(name) for name in ("tests", "failures", "skipped", "time")} == {
        "tests": "4",
        "failures": "2",
        "skipped": "1",
        "time": "2.500",
    }
    names = [[case.get("name") for case in suite.iter("testcase")] for suite in suites]
    assert names == [["line 2: GET /a", "whole profile"], ["line 2: POST /<a>&\\x00\\u2028", "line 3: GET /b"]]
    assert [each.get("message") for each in suites.iter("failure")] == ["job j1 failed", "no answer \\x1b within 1 s"]
    steps = played.as_json()["profiles"][1]["steps"]
    assert [(step["outcome"], step["attempts"]) for step in steps] == [("failed", 3), ("not sent", 0)]


def test_the_order_of_outcomes_is_that_of_names_whoever_ended_first() -> None:
    both = [outcome("b", SENT, run="night-1.2"), outcome("a", SENT), outcome("b", SENT)]
    documents = [session(*each).as_json()["profiles"] for each in (both, both[::-1])]
    assert documents[0] == documents[1]
    assert [(each["profile"], each["run_id"]) for each in documents[0]] == [
        *(("a", "night-1"), ("b", "night-1"), ("b", "night-1.2"))
    ]
