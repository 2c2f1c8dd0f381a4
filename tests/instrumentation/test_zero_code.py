"""Applications and workers started as users start them: unchanged code, real servers, a real collector."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
import rq
from redis import Redis

from otel_coverage.spool.folder import default_base
from otel_coverage.spool.launch import read_status
from otel_coverage.spool.spool_file import unsent_bytes
from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import BIN, RUN, call, gunicorn, running, wait_until, wait_until_sent
from tests.support.traced import STORE_FRONT

APP = "store_front:create_app()"
WEB = "store_front.web:"
ALWAYS = {WEB + "Middleware.__call__", WEB + "before"}
TEARDOWN = {WEB + "torn_down", "store_front.goods:put_back"}
CHECKOUT = {"X-Profile-Trace": "checkout"}


def recording(collector: Collector, **environment: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_SERVICE_NAME": "store-front",
        **environment,
    }


def of_profile(spans: list[ReceivedSpan], profile: str) -> list[ReceivedSpan]:
    """The spans of a profile but for those that tell how many there are."""
    return [span for span in spans if span.attributes.get("playback.profile") == profile and span.role != "counts"]


def roles(spans: list[ReceivedSpan]) -> list[str]:
    return sorted(span.role for span in spans if span.role)


@pytest.mark.parametrize("worker", [["-k", "sync"], ["-k", "gthread", "--threads", "8"], ["--preload"]], ids=" ".join)
def test_gunicorn_serves_a_recorded_application(worker: list[str], collector: Collector) -> None:
    with gunicorn(APP, *worker, **recording(collector)) as client:
        assert client.get("/goods", headers=CHECKOUT).text == "apple, pear"
        spans = of_profile(collector.wait_for(lambda spans: of_profile(spans, "checkout")), "checkout")
    (entry,) = spans
    assert entry.role == "server"
    assert entry.functions == ALWAYS | TEARDOWN | {WEB + "list_goods", "store_front.goods:names"}
    assert entry.resource["service.name"] == "store-front"
    assert len(entry.resource["vcs.ref.head.revision"]) >= 40


def test_plain_opentelemetry_instrument_records_as_well(collector: Collector) -> None:
    run = [str(BIN / "opentelemetry-instrument")]
    with gunicorn(APP, run=run, **recording(collector)) as client:
        client.get("/price", headers=CHECKOUT)
        spans = of_profile(collector.wait_for(lambda spans: of_profile(spans, "checkout")), "checkout")
    assert roles(spans) == ["server"]
    assert {WEB + "price", "store_front.goods:price"} <= {name for span in spans for name in span.functions}


def test_one_request_makes_one_server_span(collector: Collector) -> None:
    with gunicorn(APP, **recording(collector)) as client:
        client.get("/goods", headers=CHECKOUT)
    wait_until_sent()
    spans = of_profile(collector.spans, "checkout")
    assert [span.kind for span in spans].count("SERVER") == 1


def test_two_profiles_at_once_are_recorded_apart(collector: Collector) -> None:
    with gunicorn(APP, "--threads", "8", **recording(collector)) as client:

        def play(path: str, profile: str) -> None:
            for _ in range(20):
                client.get(path, headers={"X-Profile-Trace": profile})

        threads = [threading.Thread(target=play, args=pair) for pair in (("/goods", "looking"), ("/price", "asking"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wait_until_sent()
    for profile, own in (
        ("looking", {WEB + "list_goods", "store_front.goods:names"}),
        ("asking", {WEB + "price", "store_front.goods:price"}),
    ):
        entries = [span for span in of_profile(collector.spans, profile) if span.role == "server"]
        assert [span.functions for span in entries] == [ALWAYS | TEARDOWN | own] * 20


def test_without_the_variable_there_are_spans_and_no_coverage(collector: Collector, redis_url: str) -> None:
    environment = {**recording(collector), "REDIS_URL": redis_url, "OTEL_COVERAGE_ENABLED": "0"}
    with gunicorn(APP, **environment) as client:
        client.get("/order", headers=CHECKOUT)
    wait_until_sent()
    names = [span.name for span in collector.spans]
    assert names.count("GET /order") == 1
    assert names.count("enqueue default") == 1
    attributes = {name for span in collector.spans for name in span.attributes}
    assert not {name for name in attributes if name.startswith(("coverage.", "playback."))}


def test_run_hints_that_recording_is_off(collector: Collector) -> None:
    done = call([*RUN, "python", "-c", "print('ran')"], OTEL_TRACES_EXPORTER="none")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr == "otel-coverage: recording is off; OTEL_COVERAGE_ENABLED=1 switches it on\n"


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("enabled", ["0", "1"])
def test_no_tool_is_registered_before_the_first_traced_request(enabled: str, collector: Collector) -> None:
    code = f"""
import sys
tools = lambda: [tool for tool in map(sys.monitoring.get_tool, range(6)) if tool]
from store_front import create_app
client = create_app().test_client()
client.get("/goods")
before = tools()
client.get("/goods", headers={CHECKOUT!r})
print(before, bool(tools()))
"""
    done = call([*RUN, "python", "-c", code], **recording(collector, OTEL_COVERAGE_ENABLED=enabled))
    assert done.stdout == f"[] {enabled == '1'}\n", done.stderr


def test_a_forking_worker_records_its_jobs_and_theirs(collector: Collector, redis: Redis, redis_url: str) -> None:
    environment = recording(collector, REDIS_URL=redis_url)
    trace_id = "1" * 32
    with gunicorn(APP, **environment) as client:
        client.get("/order", headers={**CHECKOUT, "traceparent": f"00-{trace_id}-{'2' * 16}-01"})
    done = call([*RUN, "rq", "worker", "--burst", "--url", redis_url], **environment)
    assert done.returncode == 0, done.stderr
    wait_until_sent()
    spans = of_profile(collector.spans, "checkout")
    consumers = {span.attributes["messaging.rq.function"]: span for span in spans if span.role == "consumer"}
    assert {name: span.functions for name, span in consumers.items()} == {
        "store_front.jobs.pack": {
            "store_front.jobs:pack",
            "store_front.jobs:follow_up",
            "store_front.goods:price",
        },
        "store_front.jobs.ship": {"store_front.jobs:ship", "store_front.jobs:label"},
    }
    assert {span.trace_id for span in spans} == {trace_id}
    producers = {span.span_id: span for span in spans if span.role == "producer"}
    assert {span.parent_id for span in consumers.values()} == set(producers)
    assert all(span.attributes["coverage.complete"] is True for span in consumers.values())


def test_a_failing_job_of_a_forking_worker_arrives(collector: Collector, redis: Redis, redis_url: str) -> None:
    environment = recording(collector, REDIS_URL=redis_url)
    with gunicorn(APP, **environment) as client:
        client.get("/order?what=stone", headers=CHECKOUT)
    call([*RUN, "rq", "worker", "--burst", "--url", redis_url], **environment)
    (job,) = collector.wait_for_roles("consumer")
    assert job.status == "ERROR"
    assert job.events == ("exception",)
    assert job.functions == {"store_front.jobs:pack", "store_front.goods:price", "store_front.goods:unknown"}


def test_a_simple_worker_records_too(collector: Collector, redis: Redis, redis_url: str) -> None:
    environment = recording(collector, REDIS_URL=redis_url)
    with gunicorn(APP, **environment) as client:
        client.get("/order", headers=CHECKOUT)
    worker = ["rq", "worker", "--burst", "--worker-class", "rq.SimpleWorker", "--url", redis_url]
    call([*RUN, *worker], **environment)
    assert len(collector.wait_for_roles("consumer", 2)) == 2


def test_with_the_collector_down_everything_works_and_spans_of_jobs_wait_in_the_spool(
    redis: Redis, redis_url: str
) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "REDIS_URL": redis_url,
    }
    with gunicorn(APP, **environment) as client:
        assert client.get("/order", headers=CHECKOUT).status_code == 200
    done = call([*RUN, "rq", "worker", "--burst", "--url", redis_url], **environment)
    assert done.returncode == 0
    assert "Job OK" in done.stderr + done.stdout
    (folder,) = default_base().iterdir()
    assert unsent_bytes(folder) > 0
    wait_until(lambda: read_status(folder).get("is_failing"))


def test_a_token_is_required_from_the_request_to_its_jobs(collector: Collector, redis: Redis, redis_url: str) -> None:
    environment = recording(collector, REDIS_URL=redis_url, OTEL_COVERAGE_TOKEN="secret")
    with gunicorn(APP, **environment) as client:
        client.get("/order", headers={"X-Profile-Trace": "forged"})
        client.get("/order", headers={"baggage": "playback.profile=forged"})
        client.get("/order", headers={**CHECKOUT, "X-Profile-Trace-Token": "secret"})
    call([*RUN, "rq", "worker", "--burst", "--url", redis_url], **environment)
    collector.wait_for_roles("consumer", 2)
    wait_until_sent()
    assert {span.attributes.get("playback.profile") for span in collector.spans} == {None, "checkout"}
    jobs = [span for span in of_profile(collector.spans, "checkout") if span.role == "consumer"]
    assert len(jobs) == 2
    assert "secret" not in str(collector.spans)


def test_a_process_continues_the_trace_of_its_environment(collector: Collector) -> None:
    environment = recording(
        collector,
        TRACEPARENT=f"00-{'1' * 32}-{'2' * 16}-01",
        BAGGAGE="playback.profile=nightly,playback.run_id=run-1",
    )
    done = call([*RUN, "python", "-c", "from store_front import goods; goods.price('apple')"], **environment)
    assert done.returncode == 0, done.stderr
    wait_until_sent()
    (span,) = of_profile(collector.spans, "nightly")
    assert (span.role, span.trace_id, span.parent_id) == ("process", "1" * 32, "2" * 16)
    assert span.functions == {"store_front.goods:price"}


def test_a_process_without_flask_and_rq_is_recorded_all_the_same(collector: Collector, tmp_path: Path) -> None:
    for name in ("flask", "rq"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name='{name}')\n")
    (tmp_path / "work.py").write_text("def work():\n    print('worked')\n")
    environment = recording(
        collector,
        BAGGAGE="playback.profile=nightly",
        OTEL_COVERAGE_SOURCE=str(tmp_path / "work.py"),
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
    )
    done = call([*RUN, "python", "-c", "import work; work.work()"], **environment)
    assert (done.stdout, done.stderr) == ("worked\n", "")
    wait_until_sent()
    (span,) = of_profile(collector.spans, "nightly")
    assert span.functions == {"work:work"}


def test_a_span_processor_of_the_applications_own_provider_works_alone(collector: Collector, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from otel_coverage import CoverageSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
provider.add_span_processor(CoverageSpanProcessor())
trace.set_tracer_provider(provider)
from store_front import create_app
app = create_app()
FlaskInstrumentor.instrument_app(app)
print(app.test_client().get("/goods", headers={"baggage": "playback.profile=checkout"}).text)
"""
    )
    done = call([sys.executable, str(program)], **recording(collector))
    assert done.stdout == "apple, pear\n", done.stderr
    (span,) = of_profile(collector.spans, "checkout")
    assert span.functions == {WEB + "list_goods", "store_front.goods:names"}


def test_an_application_that_sets_a_provider_too_late_is_recorded_on_ours(collector: Collector, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from otel_coverage import CoverageSpanProcessor
own = TracerProvider()
own.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
own.add_span_processor(CoverageSpanProcessor(tracer_provider=own))
trace.set_tracer_provider(own)
from store_front import create_app
app = create_app()
FlaskInstrumentor.instrument_app(app, tracer_provider=own)
with own.get_tracer("t").start_as_current_span("their own span"):
    client = app.test_client()
print(client.get("/goods", headers={"baggage": "playback.profile=checkout"}).text)
"""
    )
    done = call([*RUN, sys.executable, str(program)], **recording(collector))
    assert done.stdout == "apple, pear\n", done.stderr
    wait_until_sent()
    (entry,) = of_profile(collector.spans, "checkout")
    assert entry.role == "server"
    assert entry.functions == ALWAYS | TEARDOWN | {WEB + "list_goods", "store_front.goods:names"}
    assert "their own span" in {span.name for span in collector.spans}


def test_a_worker_stops_on_a_signal(collector: Collector, redis: Redis, redis_url: str) -> None:
    job = rq.Queue(connection=redis).enqueue("store_front.jobs.ship", 3)
    with running([*RUN, "rq", "worker", "--url", redis_url], **recording(collector)) as worker:
        wait_until(lambda: job.is_finished or worker.poll() is not None)
        assert worker.poll() is None
    assert worker.returncode == 0
