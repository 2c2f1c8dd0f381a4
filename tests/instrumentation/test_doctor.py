"""``otel-coverage doctor``: the state of things in words."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.commands import BIN, RUN, call
from tests.support.traced import DATA, STORE_FRONT

DOCTOR = [str(BIN / "otel-coverage"), "doctor"]


def test_it_says_what_would_record_what_and_where_spans_go(collector: Collector) -> None:
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
    said = dict.fromkeys(" ".join(line.split()) for line in done.stdout.splitlines())
    engine = "monitoring" if sys.version_info >= (3, 12) else "coverage"
    assert f"settings source = ('{STORE_FRONT}',) (OTEL_COVERAGE_SOURCE)" in said
    assert "settings granularity = 'line' (default)" in said
    assert "settings token = '***' (OTEL_COVERAGE_TOKEN)" in said
    assert any(line.startswith(f"engine {engine}, by line: ") for line in said)
    assert any(line.startswith("source 5 files: store_front/__init__.py, ") for line in said)
    assert any(line.startswith("packages flask 3") for line in said)
    assert "service shop" in said
    assert f"collector {collector.endpoint} answers (otlp_proto_grpc)" in said
    assert "secret" not in done.stdout
    assert collector.spans == []


def test_a_collector_that_does_not_answer_is_one_line_and_exit_code_1() -> None:
    done = call(DOCTOR, OTEL_COVERAGE_SOURCE=STORE_FRONT, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr == (
        "otel-coverage: http://127.0.0.1:9 does not answer (otlp_proto_grpc): start a collector there, or name another "
        "in OTEL_EXPORTER_OTLP_ENDPOINT\n"
    )


@pytest.mark.since(3, 12)
def test_it_says_what_the_callbacks_are_written_in_and_why(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    done = call(DOCTOR, tmp_path, OTEL_TRACES_EXPORTER="none", OTEL_COVERAGE_PURE_PYTHON="1")
    assert "engine     callbacks in Python: OTEL_COVERAGE_PURE_PYTHON is set\n" in done.stdout


@pytest.mark.parametrize(
    ("engine", "granularity", "said"),
    [
        ("coverage", "line", "branches too: branch.ini says branch = true"),
        ("coverage", "function", "no branches, though branch.ini says branch = true: they come with lines: "),
        pytest.param("auto", "line", "branches too: branch.ini says branch = true", marks=pytest.mark.since(3, 14)),
        pytest.param(
            "auto",
            "line",
            "no branches, though branch.ini says branch = true: engine 'monitoring' sees branches from CPython 3.14 on",
            marks=[pytest.mark.since(3, 12), pytest.mark.until(3, 13)],
        ),
    ],
)
def test_it_says_whether_branches_are_recorded_where_the_coverage_configuration_asks_for_them(
    engine: str, granularity: str, said: str, tmp_path: Path
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
    assert f"engine     {said}" in done.stdout


def test_a_file_that_holds_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.otel_coverage]\nrun_id = "nightly"\n')
    (tmp_path / "shop.py").write_text("")
    done = call(DOCTOR, tmp_path, OTEL_TRACES_EXPORTER="none")
    assert done.returncode == 0, done.stderr
    assert "run_id = 'nightly' ([tool.otel_coverage] in pyproject.toml)" in done.stdout
    assert "recording is off: OTEL_COVERAGE_ENABLED=1 switches it on" in done.stdout
    assert "spans go nowhere" in done.stdout


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_COVERAGE_SOURCE": "no_such_package"}, "no_such_package"),
        ({"OTEL_TRACES_EXPORTER": "by_pigeon"}, "by_pigeon"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:http"}, "http://collector:http"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_2(environment: dict[str, str], said: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    done = call(DOCTOR, tmp_path, **environment)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr


def test_a_connection_that_cannot_be_made_as_configured_is_exit_code_2(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_COMPRESSION": "zip"}
    done = call(DOCTOR, tmp_path, **environment)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "zip" in done.stderr


def test_something_else_that_listens_there_is_no_collector(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = call(DOCTOR, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert done.returncode == 1
    assert done.stderr.startswith(f"otel-coverage: {endpoint} does not answer")


def said_of(app: str, *run: str, folder: Path = DATA, **environment: str) -> tuple[int, list[str], str]:
    settings = {"OTEL_COVERAGE_ENABLED": "1", "OTEL_COVERAGE_SOURCE": STORE_FRONT, "OTEL_TRACES_EXPORTER": "none"}
    done = call([*run, *DOCTOR, "--app", app], folder, **{**settings, **environment})
    lines = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("app ")]
    return done.returncode, lines, done.stderr


def test_an_application_that_run_starts_is_said_to_be_wired() -> None:
    code, lines, _ = said_of("store_front:create_app()", *RUN, OTEL_TRACES_SAMPLER="always_off")
    assert code == 0
    assert lines == [
        "store_front:create_app() is a opentelemetry.instrumentation.flask._InstrumentedFlask",
        "OpenTelemetry's Flask instrumentation makes its SERVER spans",
        "its traced requests are recorded",
        "spans go to a opentelemetry.sdk.trace.TracerProvider",
        "traced requests are always sampled, others by AlwaysOffSampler",
        "it does not import rq; where it does later, its jobs are wired then",
        "threads, commands and processes that its requests start belong to them",
        "calls of other services over httpx, requests, urllib3 carry their trace and playback",
        "13 of its 14 view functions are in the source; not: static",
    ]


def test_an_application_that_nobody_wired_is_told_how() -> None:
    code, lines, _ = said_of("wsgi:app")
    assert code == 0
    remedy = "start it by 'otel-coverage run --', or call otel_coverage.instrument(app)"
    assert f"nobody makes its SERVER spans here: {remedy}" in lines
    assert f"nothing of it is recorded here: {remedy}" in lines
    assert "no tracer provider is configured in this process: spans go nowhere" in lines
    assert f"threads, commands and processes that its requests start belong to nobody: {remedy}" in lines


def test_clients_of_other_services_that_carry_nothing_are_named_with_their_remedy(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import flask, requests\napp = flask.Flask(__name__)\n")
    environment = {"OTEL_COVERAGE_SOURCE": "shop.py", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "requests"}
    code, lines, _ = said_of("shop:app", *RUN, folder=tmp_path, **environment)
    assert code == 0
    assert "calls of other services over httpx, urllib3 carry their trace and playback" in lines
    said = (
        "calls of other services over requests carry nothing: pip install opentelemetry-instrumentation-requests, and "
    )
    assert any(line.startswith(said) for line in lines)


def test_an_application_that_is_instrumented_in_code_is_said_to_be_wired(tmp_path: Path) -> None:
    program = "import flask, rq, otel_coverage\napp = flask.Flask(__name__)\notel_coverage.instrument(app)\n"
    (tmp_path / "own.py").write_text(program)
    code, lines, _ = said_of("own", folder=tmp_path, OTEL_COVERAGE_SOURCE=str(tmp_path))
    assert code == 0
    assert "its traced requests are recorded" in lines
    assert "jobs that it enqueues with rq carry their trace and playback; start the workers in the same way" in lines


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("no_such_module:app", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("store_front:no_such_name", "AttributeError"),
        ("store_front:1", "MODULE:NAME is wanted"),
        (":app", "MODULE:NAME is wanted"),
    ],
)
def test_an_application_that_cannot_be_imported_is_one_line_and_exit_code_2(app: str, said: str) -> None:
    code, _, error = said_of(app)
    assert code == 2
    assert len(error.splitlines()) == 1
    assert said in error


def test_what_is_no_flask_application_is_said_to_need_the_middleware() -> None:
    _, lines, _ = said_of("store_front:create_app")
    assert any("otel_coverage.CoverageMiddleware" in line for line in lines)
