"""Every Python below ``otel-coverage run``: it pays for OpenTelemetry once it uses what is instrumented."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from otel_coverage.instrumentation.start import AWAITED
from otel_coverage.instrumentation.triggers import triggers
from tests.support.collector import Collector
from tests.support.commands import RUN, call, wait_until_sent
from tests.support.traced import STORE_FRONT

OFF_AND_ON = pytest.mark.parametrize("enabled", ["0", "1"], ids=["recording off", "recording on"])
HEAVY = ("opentelemetry", "grpc", "coverage", "flask", "requests", "importlib.metadata", "logging", "tomllib")

UNUSED = ("grpc", "google.protobuf", "coverage", "requests", "httpx", "urllib3", "rq", "tomllib")
OURS = "otel_coverage.tracing.export.forked_provider"  # the module of the tracer provider
DISTRO = """
from opentelemetry.instrumentation.distro import BaseDistro

class Distro(BaseDistro):
    def _configure(self, **arguments):
        pass

    def load_instrumentor(self, entry_point, **arguments):
        print(entry_point.name)
        super().load_instrumentor(entry_point, **arguments)
"""


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
def test_the_first_import_of_what_is_instrumented_starts_opentelemetry(library: str, enabled: str) -> None:
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
    assert shown == [False, True, "SourceFileLoader", OURS, "opentelemetry.instrumentation.flask"]


@OFF_AND_ON
def test_a_child_that_uses_flask_imports_no_exporter_no_coverage_py_and_no_other_library(enabled: str) -> None:
    code = f"import flask, sys; print([n for n in {UNUSED} if n in sys.modules], flask.Flask.__module__)"
    shown = below_run("python", "-c", code, OTEL_COVERAGE_ENABLED=enabled, OTEL_TRACES_EXPORTER="otlp")
    assert shown == "[] opentelemetry.instrumentation.flask\n"


@OFF_AND_ON
def test_each_library_is_instrumented_when_it_is_imported(enabled: str) -> None:
    code = """
import sys
import flask
import requests
from requests import Session
from urllib.request import OpenerDirector
print([n for n in ("requests", "urllib", "httpx") if f"opentelemetry.instrumentation.{n}" in sys.modules])
print([hasattr(call, "__wrapped__") for call in (Session.send, OpenerDirector.open)])
"""
    shown = below_run("python", "-c", code, OTEL_COVERAGE_ENABLED=enabled)
    assert shown == "['requests', 'urllib']\n[True, True]\n"


@pytest.mark.parametrize(("disabled", "instrumented"), [("requests", "[False, True]"), ("*", "[False, False]")])
def test_an_instrumentation_that_is_disabled_never_starts(disabled: str, instrumented: str) -> None:
    code = """
import os
import flask, requests, urllib.request
print([hasattr(call, "__wrapped__") for call in (requests.Session.send, urllib.request.OpenerDirector.open)])
print(os.environ["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"])
"""
    shown = below_run("python", "-c", code, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled)
    assert shown == f"{instrumented}\n{disabled}\n"


def test_a_distro_of_the_users_own_loads_each_instrumentor(tmp_path: Path) -> None:
    (tmp_path / "own_distro.py").write_text(DISTRO)
    metadata = tmp_path / "own_distro-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-distro\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[opentelemetry_distro]\nown = own_distro:Distro\n")
    shown = below_run("python", "-c", "import flask; print('then'); import requests", PYTHONPATH=str(tmp_path))
    loaded, _, then = shown.partition("then\n")
    assert set(loaded.split()) == {"otel_coverage", "threading", "flask"}
    assert set(then.split()) == {"requests", "urllib", "urllib3"}


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
    wait_until_sent()
    assert [span.role for span in collector.spans] == ["process"]


def test_the_first_process_of_a_container_waits_for_the_sender_though_it_imports_nothing() -> None:
    script = (
        "import os, sys\n"
        "os.getpid = lambda: 1\n"
        "import otel_coverage.spool.wait as wait\n"
        "wait.wait_as_first_process = lambda: print('waited', 'opentelemetry.sdk.trace' in sys.modules)\n"
        "from otel_coverage.instrumentation.start import begin\n"
        "begin()\n"
    )
    environ = {**os.environ, AWAITED: f"{sys.prefix}{os.pathsep}flask=flask"}
    ended = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("waited False\n", "")


def test_an_instrumentation_waits_for_the_modules_that_its_library_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found without a look at every file of every package, as ``packages_distributions()`` takes one."""
    monkeypatch.setattr(importlib.metadata.PathDistribution, "files", None)
    waits = triggers()
    names = ("fastapi", "flask", "requests", "starlette", "urllib3")
    assert {name: waits[name] for name in names} == {name: {name} for name in names}
    assert waits["urllib"] == {"urllib.request"}
