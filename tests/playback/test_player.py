"""The player: requests, responses, jobs and spans."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from otel_coverage.playback import Outcome, Player, Profile, Step, Upload
from otel_coverage.playback.captures import Capture
from otel_coverage.playback.job_status import JobStatus
from otel_coverage.playback.runner import play_all
from otel_coverage.settings import Settings
from otel_coverage.tracing.playback import verify
from tests.playback.application import Application


class Setup:
    """A player, its spans, and its application."""

    def __init__(self, application: Application, settings: Settings, job_status: JobStatus) -> None:
        provider = TracerProvider(shutdown_on_exit=False)
        self.exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.application = application
        self.player = Player(application.base_url, "night-1", provider.get_tracer("test"), settings, job_status)

    def play(self, *steps: Step, slug: str = "tour") -> Outcome:
        return self.player.play(Profile(slug, Path("tour/recording.jsonl"), steps))


@pytest.fixture
def setup(application: Application) -> Setup:
    return Setup(application, Settings(), JobStatus(timeout=60))


def step(method: str, path: str, status: int | None = None, line: int = 2, **more: object) -> Step:
    return Step(line, method, path, status, **more)  # type: ignore[arg-type]


def test_requests_are_sent_in_order(setup: Setup) -> None:
    outcome = setup.play(step("GET", "/a?b=1"), step("PUT", "/c", json={"d": [1]}), step("DELETE", "/e"))
    assert setup.application.lines == ["GET /a?b=1", "PUT /c", "DELETE /e"]
    assert setup.application.requests[1].json == {"d": [1]}
    assert (outcome.word, outcome.requests, outcome.failure) == ("passed", 3, None)


def test_a_form_has_its_fields_and_files(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"a,b\r\n\xff")
    setup.play(step("POST", "/f", form={"kind": "${run}"}, uploads=(Upload("stock", tmp_path / "list.csv"),)))
    received = setup.application.requests[0]
    assert received.files == {"stock": ("list.csv", b"a,b\r\n\xff")}
    assert received.form["kind"].startswith("tour-")


def test_captured_values_are_used_in_later_requests(setup: Setup) -> None:
    outcome = setup.play(
        step("POST", "/orders", 201, captures={"order": Capture("/number"), "sku": Capture("/items/0/sku")}),
        step("PUT", "/orders/${order}/${sku}", json={"same": "${order}"}),
    )
    assert outcome.passed
    assert setup.application.requests[1].json == {"same": 7}
    assert setup.application.lines[1] == "PUT /orders/7/a/b"  # sent percent-encoded; WSGI decodes it


def test_a_missing_captured_value_fails_the_profile(setup: Setup) -> None:
    outcome = setup.play(step("POST", "/orders", captures={"order": Capture("/lines/3")}), step("GET", "/${order}"))
    assert outcome.failure is not None
    assert "line 2: POST /orders: the response has no value at '/lines/3'" in outcome.failure
    assert setup.application.lines == ["POST /orders"]


def test_each_playback_has_its_own_run_name(setup: Setup) -> None:
    first, second = (setup.play(step("GET", "/runs/${run}"), slug="a.b_c") for _ in range(2))
    assert first.run != second.run
    assert first.run.startswith("a-b-c-")
    assert setup.application.lines == [f"GET /runs/{first.run}", f"GET /runs/{second.run}"]


def test_cookies_are_kept_during_a_profile_only(setup: Setup) -> None:
    setup.play(step("GET", "/login"), step("GET", "/a"))
    setup.play(step("GET", "/b"))
    assert setup.application.lines == ["GET /login", "GET /home", "GET /a", "GET /b"]
    assert [received.headers.get("Cookie") for received in setup.application.requests] == [
        None,
        "session=42",
        "session=42",
        None,
    ]


@pytest.mark.parametrize(("status", "word"), [(404, "passed"), (200, "failed"), (None, "failed")])
def test_an_unexpected_status_fails_the_profile(setup: Setup, status: int | None, word: str) -> None:
    outcome = setup.play(step("GET", "/missing", status), step("GET", "/a"))
    assert outcome.word == word
    assert ("GET /a" in setup.application.lines) == (word == "passed")
    if outcome.failure:
        assert outcome.failure.startswith("tour/recording.jsonl: line 2: GET /missing: answered 404, expected ")
        assert outcome.failure.endswith("no such thing")


def test_a_failed_connection_fails_the_profile(setup: Setup, application: Application) -> None:
    player = Player("http://127.0.0.1:1", "night-1", setup.player.tracer)
    outcome = player.play(Profile("tour", Path("r.jsonl"), (step("GET", "/a"),)))
    assert outcome.failure is not None
    assert outcome.failure.startswith("r.jsonl: line 2: GET /a: ")


# -- jobs


def test_a_get_waits_for_the_jobs_enqueued_before(setup: Setup) -> None:
    outcome = setup.play(
        step("POST", "/enqueue/j1"), step("POST", "/enqueue/j2"), step("POST", "/a"), step("GET", "/b")
    )
    assert [poll.split()[0] for poll in setup.application.polls] == ["j1"] * 3 + ["j2"] * 3
    assert setup.application.lines == ["POST /enqueue/j1", "POST /enqueue/j2", "POST /a", "GET /b"]
    assert outcome.jobs == 2


def test_jobs_are_waited_for_at_the_end_too(setup: Setup) -> None:
    assert setup.play(step("POST", "/enqueue/j1")).jobs == 1
    assert len(setup.application.polls) == 3


def test_polls_carry_no_baggage(setup: Setup) -> None:
    setup.play(step("POST", "/enqueue/j1"))
    assert set(setup.application.polls) == {"j1 None"}


@pytest.mark.parametrize("word", ["failed", "stopped", "canceled"])
def test_a_job_that_fails_fails_the_profile(setup: Setup, word: str) -> None:
    setup.application.final_status = word
    outcome = setup.play(step("POST", "/enqueue/j1"), step("GET", "/a"))
    assert outcome.failure == f"tour/recording.jsonl: line 2: GET /a: job j1 {word}"
    assert "GET /a" not in setup.application.lines


def test_a_job_that_takes_too_long_fails_the_profile(application: Application) -> None:
    application.final_status = "started"
    setup = Setup(application, Settings(), JobStatus(timeout=0.2))
    assert "job j1 is still started after 0.2 s; see --job-timeout" in str(
        setup.play(step("POST", "/enqueue/j1")).failure
    )


def test_a_response_without_a_job_status_fails_the_profile(application: Application) -> None:
    setup = Setup(application, Settings(), JobStatus("/nowhere/{job_id}"))
    failure = setup.play(step("POST", "/enqueue/j1")).failure
    assert failure is not None
    assert "/nowhere/j1 answered 200 without a job status; see --job-status" in failure


def test_without_a_job_status_path_no_job_is_waited_for(application: Application) -> None:
    outcome = Setup(application, Settings(), JobStatus("")).play(step("POST", "/enqueue/j1"))
    assert (outcome.jobs, application.polls) == (0, [])


# -- the trace


def test_a_playback_is_one_trace_with_a_client_span_for_each_request(setup: Setup) -> None:
    setup.play(step("GET", "/a"), step("POST", "/b"))
    *clients, root, _ = setup.exporter.get_finished_spans()
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


def test_each_request_carries_its_trace_context_and_baggage(setup: Setup) -> None:
    setup.play(step("GET", "/a"))
    client = setup.exporter.get_finished_spans()[0]
    assert client.context is not None
    headers = setup.application.requests[0].headers
    assert headers["Traceparent"].startswith(f"00-{client.context.trace_id:032x}-{client.context.span_id:016x}-")
    assert set(headers["Baggage"].split(",")) == {"playback.profile=tour", "playback.run_id=night-1"}


def test_with_a_token_the_baggage_is_signed_and_the_token_not_sent(application: Application) -> None:
    Setup(application, Settings(token="s3cret"), JobStatus()).play(step("GET", "/a"))
    baggage = dict(entry.split("=", 1) for entry in application.requests[0].headers["Baggage"].split(","))
    assert verify("s3cret", "tour", "night-1", baggage["playback.sig"])
    assert "s3cret" not in str(application.requests[0].headers)


def test_a_failed_playback_has_an_error_status_on_its_root_span(setup: Setup) -> None:
    setup.play(step("GET", "/missing"))
    client, root, _ = setup.exporter.get_finished_spans()
    assert (root.attributes or {})["playback.outcome"] == "failed"
    assert root.status.status_code is StatusCode.ERROR
    assert client.status.status_code is StatusCode.ERROR


def test_plan_and_end_of_a_playback_are_told_in_traces_of_their_own(setup: Setup) -> None:
    steps = (step("GET", "/a"), step("GET", "/missing"), step("GET", "/b"))
    setup.player.plan(Profile("tour", Path("r"), steps))
    setup.play(*steps)
    plan, first, _, root, played = setup.exporter.get_finished_spans()
    for span, role, number in ((plan, "plan", 3), (played, "played", 2)):
        assert (span.name, span.parent) == (f"{role} tour", None)
        assert dict(span.attributes or {}) == {
            "playback.profile": "tour",
            "playback.run_id": "night-1",
            "coverage.role": role,
            "playback.steps": number,
        }
    assert len({span.context.trace_id for span in (plan, first, root, played) if span.context}) == 3


# -- concurrently


def test_profiles_are_played_concurrently_and_each_has_an_outcome(setup: Setup) -> None:
    profiles = [Profile(f"p{number}", Path("r"), (step("GET", f"/{number}"),) * 3) for number in range(5)]
    steps: list[str] = []
    outcomes = list(
        play_all(
            [(setup.player, profile) for profile in profiles], 3, lambda player, profile, _: steps.append(profile.slug)
        )
    )
    assert sorted(outcome.profile for outcome in outcomes) == ["p0", "p1", "p2", "p3", "p4"]
    assert len(steps) == 15
    for received in setup.application.requests:
        assert f"playback.profile=p{received.path[1:]}" in received.headers["Baggage"]


def test_a_stopped_player_sends_no_further_request(application: Application) -> None:
    stopped = threading.Event()
    setup = Setup(application, Settings(), JobStatus())
    player = Player(application.base_url, "n", setup.player.tracer, stopped=stopped)
    steps = (step("GET", "/a"), step("GET", "/b"))
    outcome = player.play(Profile("tour", Path("r"), steps), lambda _: stopped.set())
    assert application.lines == ["GET /a"]
    assert outcome.failure == "r: interrupted" or str(outcome.failure).endswith("interrupted")
