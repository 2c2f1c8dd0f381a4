"""``otel-coverage doctor``: what is set up here, line by line, and the exit code."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.commands import BIN, RUN, call, wait_until
from tests.support.traced import DATA, STORE_FRONT

DOCTOR = [str(BIN / "otel-coverage"), "doctor"]


def test_it_reports_settings_engine_source_packages_and_collector(collector: Collector) -> None:
    done = call(
        DOCTOR,
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=STORE_FRONT,
        OTEL_COVERAGE_TOKEN="secret",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_SERVICE_NAME="shop",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = dict.fromkeys(" ".join(line.split()) for line in done.stdout.splitlines())
    engine = "monitoring" if sys.version_info >= (3, 12) else "coverage"
    assert f"settings source = ('{STORE_FRONT}',) (OTEL_COVERAGE_SOURCE)" in lines
    assert "settings granularity = 'line' (default)" in lines
    assert "settings token = '***' (OTEL_COVERAGE_TOKEN)" in lines
    assert any(line.startswith(f"engine {engine}, by line: ") for line in lines)
    files = len(list(Path(STORE_FRONT).rglob("*.py")))
    assert any(line.startswith(f"source {files} files: store_front/__init__.py, ") for line in lines)
    assert any(line.startswith("packages flask 3") for line in lines)
    assert "service shop" in lines
    assert f"collector {collector.endpoint} answers (otlp_proto_grpc)" in lines
    assert "secret" not in done.stdout
    assert collector.spans == []


def test_a_collector_that_does_not_answer_is_one_line_and_exit_code_1() -> None:
    done = call(DOCTOR, OTEL_COVERAGE_SOURCE=STORE_FRONT, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr == (
        "otel-coverage: http://127.0.0.1:9 does not answer (otlp_proto_grpc): start a collector there, or set "
        "OTEL_EXPORTER_OTLP_ENDPOINT to the address of one\n"
    )


def test_it_reports_what_waits_in_the_spool_and_why(state_home: Path) -> None:
    refusing = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_COVERAGE_SOURCE": STORE_FRONT}
    before = call(DOCTOR, **refusing).stdout
    assert f"spool      {state_home}/otel-coverage/spool/unknown_service: nothing was ever kept there\n" in before
    script = "import flask; from opentelemetry import trace; trace.get_tracer('t').start_span('work').end()"
    call([*RUN, sys.executable, "-c", script], OTEL_COVERAGE_ENABLED="1", **refusing)
    wait_until(lambda: "the last attempt failed: UNAVAILABLE" in call(DOCTOR, **refusing).stdout)
    after = call(DOCTOR, **refusing).stdout
    assert f"spool      {state_home}/otel-coverage/spool/unknown_service: 1 span (" in after
    assert "sends them to http://127.0.0.1:9" in after
    assert "spool      off: " in call(DOCTOR, OTEL_COVERAGE_SPOOL="off", **refusing).stdout


@pytest.mark.since(3, 12)
def test_it_reports_the_language_of_the_callbacks_and_why(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    done = call(DOCTOR, tmp_path, OTEL_TRACES_EXPORTER="none", OTEL_COVERAGE_PURE_PYTHON="1")
    assert "engine     callbacks in Python: OTEL_COVERAGE_PURE_PYTHON is set\n" in done.stdout


@pytest.mark.parametrize(
    ("engine", "granularity", "message"),
    [
        ("coverage", "line", "branches too: branch.ini says branch = true"),
        ("coverage", "function", "no branches, though branch.ini says branch = true: only OTEL_COVERAGE_GRANULARITY"),
        pytest.param("auto", "line", "branches too: branch.ini says branch = true", marks=pytest.mark.since(3, 14)),
        pytest.param(
            "auto",
            "line",
            "no branches, though branch.ini says branch = true: engine 'monitoring' sees branches from CPython 3.14 on",
            marks=[pytest.mark.since(3, 12), pytest.mark.until(3, 13)],
        ),
    ],
)
def test_it_reports_whether_branches_are_recorded_where_the_coverage_configuration_asks_for_them(
    engine: str, granularity: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text("")
    (tmp_path / "branch.ini").write_text("[run]\nbranch = true\n")
    done = call(
        DOCTOR,
        tmp_path,
        OTEL_TRACES_EXPORTER="none",
        OTEL_COVERAGE_RCFILE="branch.ini",
        OTEL_COVERAGE_ENGINE=engine,
        OTEL_COVERAGE_GRANULARITY=granularity,
    )
    assert f"engine     {message}" in done.stdout


def test_the_file_that_a_setting_comes_from_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.otel_coverage]\nrun_id = "nightly"\n')
    (tmp_path / "shop.py").write_text("")
    done = call(DOCTOR, tmp_path, OTEL_TRACES_EXPORTER="none")
    assert done.returncode == 0, done.stderr
    assert f"run_id = 'nightly' ({tmp_path / 'pyproject.toml'}: run_id in [tool.otel_coverage])" in done.stdout
    assert "recording is off: OTEL_COVERAGE_ENABLED=1 switches it on" in done.stdout
    assert "no span is exported" in done.stdout


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OTEL_COVERAGE_SOURCE": "no_such_package"}, "no_such_package"),
        ({"OTEL_TRACES_EXPORTER": "by_pigeon"}, "by_pigeon"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:http"}, "http://collector:http"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_and_exit_code_2(
    environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text("")
    done = call(DOCTOR, tmp_path, **environment)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert f"problem: {done.stderr.removeprefix('otel-coverage: ')}" in done.stdout


def test_a_connection_that_cannot_be_made_as_configured_is_exit_code_2(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_COMPRESSION": "zip"}
    done = call(DOCTOR, tmp_path, **environment)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "zip" in done.stderr


def test_a_listener_that_is_not_a_collector_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = call(DOCTOR, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert done.returncode == 1
    assert done.stderr.startswith(f"otel-coverage: {endpoint} does not answer")


def application_lines(app: str, *run: str, folder: Path = DATA, **environment: str) -> tuple[int, list[str], str]:
    settings = {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_SOURCE": STORE_FRONT, "OTEL_TRACES_EXPORTER": "none"}
    done = call([*run, *DOCTOR, "--app", app], folder, **{**settings, **environment})
    lines = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("app ")]
    return done.returncode, lines, done.stderr


def test_an_application_that_run_starts_is_reported_as_instrumented() -> None:
    code, lines, _ = application_lines("store_front:create_app()", *RUN, OTEL_TRACES_SAMPLER="always_off")
    assert code == 0
    assert lines == [
        "store_front:create_app() is a opentelemetry.instrumentation.flask._InstrumentedFlask",
        "OpenTelemetry's Flask instrumentation makes its SERVER spans",
        "its traced requests are recorded",
        "spans go to otel-coverage's own tracer provider",
        "on this provider of ours a process ends 1.5 s later at most, even without a collector",
        "spans of this process so far: 0 delivered, 0 spooled, 0 lost",
        "traced requests are always sampled, others by AlwaysOffSampler",
        "it has not imported rq; its jobs are instrumented when it does",
        "threads and processes that its requests start are recorded for them",
        "requests to other services by httpx, requests, urllib3 carry their trace and playback",
        "13 of its 14 view functions are in the source; not: static",
    ]


def test_an_application_that_is_not_instrumented_is_reported_with_the_remedy() -> None:
    code, lines, _ = application_lines("wsgi:app")
    assert code == 0
    remedy = "start it by 'otel-coverage run --', or call otel_coverage.instrument(app)"
    assert f"no SERVER spans are made for it in this process: {remedy}" in lines
    assert f"its requests are not recorded in this process: {remedy}" in lines
    assert "no tracer provider is configured in this process: no span is exported" in lines
    assert f"threads and processes that its requests start are not recorded for them: {remedy}" in lines


def test_http_clients_that_are_not_instrumented_are_reported_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import flask, requests\napp = flask.Flask(__name__)\n")
    environment = {"OTEL_COVERAGE_SOURCE": "shop.py", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests"}
    code, lines, _ = application_lines("shop:app", *RUN, folder=tmp_path, **environment)
    assert code == 0
    assert "requests to other services by httpx, urllib3 carry their trace and playback" in lines
    remedy = (
        "requests to other services by requests do not carry their trace and playback: "
        "pip install opentelemetry-instrumentation-requests, and "
    )
    assert any(line.startswith(remedy) for line in lines)


def test_an_application_that_is_instrumented_in_code_is_reported_as_such(tmp_path: Path) -> None:
    program = "import flask, rq, otel_coverage\napp = flask.Flask(__name__)\notel_coverage.instrument(app)\n"
    (tmp_path / "own.py").write_text(program)
    code, lines, _ = application_lines("own", folder=tmp_path, OTEL_COVERAGE_SOURCE=str(tmp_path))
    assert code == 0
    assert "its traced requests are recorded" in lines
    assert "jobs that it enqueues with rq carry their trace and playback; start the workers in the same way" in lines


def test_what_a_provider_of_ones_own_costs_when_a_process_ends_is_reported(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import flask\nfrom opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\napp = flask.Flask(__name__)\n"
    )
    _, lines, _ = application_lines("own", folder=tmp_path, OTEL_EXPORTER_OTLP_TIMEOUT="3")
    (said,) = [line for line in lines if line.startswith("on a provider of your own")]
    assert "waits up to 30 s" in said
    assert "OTEL_EXPORTER_OTLP_TIMEOUT is 3 s" in said


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("no_such_module:app", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("store_front:no_such_name", "AttributeError"),
        ("store_front:1", "expected MODULE:NAME"),
        (":app", "expected MODULE:NAME"),
    ],
)
def test_an_application_that_cannot_be_imported_is_one_line_and_exit_code_2(app: str, message: str) -> None:
    code, _, error = application_lines(app)
    assert code == 2
    assert len(error.splitlines()) == 1
    assert message in error


def test_what_is_not_a_flask_application_is_reported_to_need_the_middleware() -> None:
    _, lines, _ = application_lines("store_front:create_app")
    assert any("otel_coverage.CoverageMiddleware" in line for line in lines)


def test_a_propagator_that_is_not_installed_is_one_line_and_exit_code_2() -> None:
    done = call(DOCTOR, OTEL_PROPAGATORS="tracecontext,by_pigeon")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "the propagator 'by_pigeon', which is not installed" in done.stderr
