"""Every Python below ``otel-coverage run``: it pays for OpenTelemetry once it uses what is instrumented."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.commands import RUN, call
from tests.support.traced import STORE_FRONT

OFF_AND_ON = pytest.mark.parametrize("enabled", ["0", "1"], ids=["recording off", "recording on"])
HEAVY = ("opentelemetry", "grpc", "coverage", "flask", "requests", "importlib.metadata", "logging", "tomllib")


def below_run(*command: str, **environment: str) -> str:
    done = call([*RUN, *command], **{"OTEL_COVERAGE_SOURCE": STORE_FRONT, "OTEL_TRACES_EXPORTER": "none"} | environment)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "recording is off" not in line] == []
    return done.stdout


@OFF_AND_ON
def test_a_child_that_uses_nothing_of_ours_imports_nothing_of_it(enabled: str) -> None:
    shown = below_run(
        *("python", "-c", f"import sys, json, subprocess; print([n for n in {HEAVY} if n in sys.modules])"),
        OTEL_COVERAGE_ENABLED=enabled,
    )
    plain = subprocess.run(
        [sys.executable, "-c", f"import sys, json, subprocess; print([n for n in {HEAVY} if n in sys.modules])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown == plain.stdout


@OFF_AND_ON
@pytest.mark.parametrize("library", ["flask", "requests", "urllib.request", "opentelemetry.trace"])
def test_the_first_import_of_what_is_instrumented_starts_all_of_it(library: str, enabled: str) -> None:
    code = f"""
import sys, json
before = "opentelemetry.sdk.trace" in sys.modules
import {library} as library
import flask
from opentelemetry import trace
print(json.dumps([
    before,
    library is sys.modules["{library}"],
    library.__spec__.loader.__class__.__name__,
    type(trace.get_tracer_provider()).__module__,
    flask.Flask.__module__,
]))
"""
    shown = json.loads(below_run("python", "-c", code, OTEL_COVERAGE_ENABLED=enabled))
    assert shown == [False, True, "SourceFileLoader", "opentelemetry.sdk.trace", "opentelemetry.instrumentation.flask"]


def test_a_module_whose_import_starts_it_is_executed_once(tmp_path: Path) -> None:
    (tmp_path / "rq.py").write_text("print('executed')\n")
    assert below_run("python", "-c", "import rq", PYTHONPATH=str(tmp_path)) == "executed\n"


@OFF_AND_ON
def test_children_of_an_interpreter_that_lacks_us_say_nothing_of_it(enabled: str, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / "bin" / "python")
    assert below_run(python, "-c", "import urllib.request; print('ran')", OTEL_COVERAGE_ENABLED=enabled) == "ran\n"


def test_an_interpreter_that_has_our_files_and_not_opentelemetry_runs_as_ever(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    root = str(Path(__file__).parents[2])
    shown = below_run(
        *(str(tmp_path / "bare" / "bin" / "python"), "-c", "print('ran')"),
        PYTHONPATH=root,
        OTEL_COVERAGE_ENABLED="1",
    )
    assert shown == "ran\n"


def test_a_sitecustomize_of_the_users_own_is_executed_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.customized = True\n")
    assert below_run("python", "-c", "import sys; print(sys.customized)", PYTHONPATH=str(tmp_path)) == "True\n"


def test_a_child_that_continues_a_playback_is_recorded_from_its_first_line(collector: Collector) -> None:
    shown = below_run(
        *("python", "-c", "import sys; print('opentelemetry.sdk.trace' in sys.modules)"),
        BAGGAGE="playback.profile=nightly",
        OTEL_COVERAGE_ENABLED="1",
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
    )
    assert shown == "True\n"
    assert [span.role for span in collector.spans] == ["process"]
