"""What the player sends, and what it makes of the answers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from otel_coverage.playback import Outcome, Player, Profile, Step, Upload
from otel_coverage.playback.jobs import JobStatus
from otel_coverage.playback.playing import play_all
from otel_coverage.settings import Settings
from otel_coverage.tracing.playback import verify
from tests.playback.application import Application


class Stage:
    """A player, its spans, and the application that it plays against."""

    def __init__(self, application: Application, settings: Settings, job_status: JobStatus) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        self.exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.application = application
        self.player = Player(application.base_url, "night-1", provider.get_tracer("test"), settings, job_status)

    def play(self, *steps: Step, slug: str = "tour") -> Outcome:
        return self.player.play(Profile(slug, Path("tour/recording.jsonl"), steps))


@pytest.fixture
def stage(application: Application) -> Stage:
    return Stage(application, Settings(), JobStatus(timeout=5))


def step(method: str, path: str, status: int | None = None, line: int = 2, **more: object) -> Step:
    return Step(line, method, path, status, **more)  # type: ignore[arg-type]


def test_requests_are_sent_one_after_the_other(stage: Stage) -> None:
    outcome = stage.play(step("GET", "/a?b=1"), step("PUT", "/c", json={"d": [1]}), step("DELETE", "/e"))
    assert stage.application.lines == ["GET /a?b=1", "PUT /c", "DELETE /e"]
    assert stage.application.asked[1].json == {"d": [1]}
    assert (outcome.word, outcome.requests, outcome.failure) == ("passed", 3, None)


def test_a_form_carries_its_fields_and_files(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"a,b\r\n\xff")
    stage.play(step("POST", "/f", form={"kind": "${run}"}, uploads=(Upload("stock", tmp_path / "list.csv"),)))
    asked = stage.application.asked[0]
    assert asked.files == {"stock": ("list.csv", b"a,b\r\n\xff")}
    assert asked.form["kind"].startswith("tour-")


def test_what_an_answer_held_is_used_in_later_requests(stage: Stage) -> None:
    outcome = stage.play(
        step("POST", "/orders", 201, captures={"order": "/number", "sku": "/items/0/sku"}),
        step("PUT", "/orders/${order}/${sku}", json={"same": "${order}"}),
    )
    assert outcome.passed
    assert stage.application.asked[1].json == {"same": 7}
    assert stage.application.lines[1] == "PUT /orders/7/a/b"  # sent quoted; WSGI hands it over unquoted


def test_a_value_that_the_answer_lacks_fails_the_profile(stage: Stage) -> None:
    outcome = stage.play(step("POST", "/orders", captures={"order": "/lines/3"}), step("GET", "/${order}"))
    assert outcome.failure is not None
    assert "line 2: POST /orders: nothing at '/lines/3' in the answer" in outcome.failure
    assert stage.application.lines == ["POST /orders"]


def test_each_playback_has_a_run_of_its_own(stage: Stage) -> None:
    first, second = (stage.play(step("GET", "/runs/${run}"), slug="a.b_c") for _ in range(2))
    assert first.run != second.run
    assert first.run.startswith("a-b-c-")
    assert stage.application.lines == [f"GET /runs/{first.run}", f"GET /runs/{second.run}"]


def test_cookies_live_as_long_as_the_profile_is_played(stage: Stage) -> None:
    stage.play(step("GET", "/login"), step("GET", "/a"))
    stage.play(step("GET", "/b"))
    assert stage.application.lines == ["GET /login", "GET /home", "GET /a", "GET /b"]
    assert [asked.headers.get("Cookie") for asked in stage.application.asked] == [
        None,
        "session=42",
        "session=42",
        None,
    ]


@pytest.mark.parametrize(("status", "word"), [(404, "passed"), (200, "failed"), (None, "failed")])
def test_an_answer_has_to_be_the_expected_one(stage: Stage, status: int | None, word: str) -> None:
    outcome = stage.play(step("GET", "/missing", status), step("GET", "/a"))
    assert outcome.word == word
    assert ("GET /a" in stage.application.lines) == (word == "passed")
    if outcome.failure:
        assert outcome.failure.startswith("tour/recording.jsonl: line 2: GET /missing: answered 404 instead of")
        assert outcome.failure.endswith("no such thing")


def test_an_application_that_goes_away_fails_the_profile(stage: Stage, application: Application) -> None:
    player = Player("http://127.0.0.1:1", "night-1", stage.player.tracer)
    outcome = player.play(Profile("tour", Path("r.jsonl"), (step("GET", "/a"),)))
    assert outcome.failure is not None
    assert outcome.failure.startswith("r.jsonl: line 2: GET /a: ")


# -- jobs


def test_a_get_waits_for_the_jobs_that_were_enqueued_before(stage: Stage) -> None:
    outcome = stage.play(
        step("POST", "/enqueue/j1"), step("POST", "/enqueue/j2"), step("POST", "/a"), step("GET", "/b")
    )
    assert [poll.split()[0] for poll in stage.application.polls] == ["j1"] * 3 + ["j2"] * 3
    assert stage.application.lines == ["POST /enqueue/j1", "POST /enqueue/j2", "POST /a", "GET /b"]
    assert outcome.jobs == 2


def test_jobs_are_waited_for_at_the_end_too(stage: Stage) -> None:
    assert stage.play(step("POST", "/enqueue/j1")).jobs == 1
    assert len(stage.application.polls) == 3


def test_asking_after_a_job_is_no_part_of_the_workflow(stage: Stage) -> None:
    stage.play(step("POST", "/enqueue/j1"))
    assert set(stage.application.polls) == {"j1 None"}


@pytest.mark.parametrize("word", ["failed", "stopped", "canceled"])
def test_a_job_that_fails_fails_the_profile(stage: Stage, word: str) -> None:
    stage.application.last_word = word
    outcome = stage.play(step("POST", "/enqueue/j1"), step("GET", "/a"))
    assert outcome.failure == f"tour/recording.jsonl: line 2: GET /a: job j1 {word}"
    assert "GET /a" not in stage.application.lines


def test_a_job_that_takes_too_long_fails_the_profile(application: Application) -> None:
    application.last_word = "started"
    stage = Stage(application, Settings(), JobStatus(timeout=0.2))
    assert "job j1 is still started after 0.2 s; --job-timeout allows more" in str(
        stage.play(step("POST", "/enqueue/j1")).failure
    )


def test_a_status_that_nobody_tells_fails_the_profile(application: Application) -> None:
    stage = Stage(application, Settings(), JobStatus("/nowhere/{job_id}"))
    failure = stage.play(step("POST", "/enqueue/j1")).failure
    assert failure is not None
    assert "/nowhere/j1 answered 200 and no status; --job-status names the right address" in failure


def test_without_an_address_for_a_jobs_status_no_job_is_waited_for(application: Application) -> None:
    outcome = Stage(application, Settings(), JobStatus("")).play(step("POST", "/enqueue/j1"))
    assert (outcome.jobs, application.polls) == (0, [])


# -- the trace


def test_a_playback_is_one_trace_with_a_client_span_for_each_request(stage: Stage) -> None:
    stage.play(step("GET", "/a"), step("POST", "/b"))
    *clients, root = stage.exporter.get_finished_spans()
    assert root.name == "playback tour"
    assert root.parent is None
    assert dict(root.attributes or {}) == {
        "playback.profile": "tour",
        "playback.run_id": "night-1",
        "playback.outcome": "passed",
    }
    assert [span.name for span in clients] == ["GET", "POST"]
    for client in clients:
        assert client.kind is SpanKind.CLIENT
        assert client.parent is not None
        assert root.context is not None
        assert client.parent.span_id == root.context.span_id
        attributes = dict(client.attributes or {})
        assert attributes["coverage.role"] == "client"
        assert (attributes["playback.profile"], attributes["playback.run_id"]) == ("tour", "night-1")
        assert attributes["http.response.status_code"] == 200


def test_each_request_carries_its_span_and_the_profile(stage: Stage) -> None:
    stage.play(step("GET", "/a"))
    client = stage.exporter.get_finished_spans()[0]
    assert client.context is not None
    headers = stage.application.asked[0].headers
    assert headers["Traceparent"].startswith(f"00-{client.context.trace_id:032x}-{client.context.span_id:016x}-")
    assert set(headers["Baggage"].split(",")) == {"playback.profile=tour", "playback.run_id=night-1"}


def test_with_a_token_the_profile_is_vouched_for_and_the_token_stays_here(application: Application) -> None:
    Stage(application, Settings(token="s3cret"), JobStatus()).play(step("GET", "/a"))
    baggage = dict(entry.split("=", 1) for entry in application.asked[0].headers["Baggage"].split(","))
    assert verify("s3cret", "tour", "night-1", baggage["playback.sig"])
    assert "s3cret" not in str(application.asked[0].headers)


def test_a_failed_playback_says_so_on_its_root_span(stage: Stage) -> None:
    stage.play(step("GET", "/missing"))
    client, root = stage.exporter.get_finished_spans()
    assert (root.attributes or {})["playback.outcome"] == "failed"
    assert root.status.status_code is StatusCode.ERROR
    assert client.status.status_code is StatusCode.ERROR


# -- several at a time


def test_profiles_are_played_several_at_a_time_and_all_are_told_of(stage: Stage) -> None:
    profiles = [Profile(f"p{number}", Path("r"), (step("GET", f"/{number}"),) * 3) for number in range(5)]
    steps: list[str] = []
    outcomes = list(play_all(stage.player, profiles, 3, lambda profile: steps.append(profile.slug)))
    assert sorted(outcome.profile for outcome in outcomes) == ["p0", "p1", "p2", "p3", "p4"]
    assert len(steps) == 15
    for asked in stage.application.asked:
        assert f"playback.profile=p{asked.path[1:]}" in asked.headers["Baggage"]


def test_a_player_that_was_stopped_sends_nothing_more(application: Application) -> None:
    stopped = threading.Event()
    stage = Stage(application, Settings(), JobStatus())
    player = Player(application.base_url, "n", stage.player.tracer, stopped=stopped)
    steps = (step("GET", "/a"), step("GET", "/b"))
    outcome = player.play(Profile("tour", Path("r"), steps), stopped.set)
    assert application.lines == ["GET /a"]
    assert outcome.failure == "r: interrupted" or str(outcome.failure).endswith("interrupted")
