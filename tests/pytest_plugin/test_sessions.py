"""What a session says at its end, what it is without the option, and which settings end it."""

from __future__ import annotations

from pathlib import Path

from tests.pytest_plugin.project import ROOT, Project

EXAMPLES = str(ROOT / "examples")
APPLICATION = """
import os, pytest
from shop.app import create_app
from shop.settings import Settings

@pytest.fixture
def client(tmp_path):
    return create_app(Settings.for_testing(str(tmp_path))).test_client()

def test_health(client):
    assert client.get("/health").status_code == 200
"""


def test_without_the_option_nothing_but_options_a_marker_and_a_fixture_is_there(project: Project) -> None:
    project.write(
        "test_it.py",
        "import sys, pytest\n\n"
        "@pytest.mark.playback_profile('checkout')\n"
        "def test_it(playback_profile):\n"
        "    assert playback_profile == ('', '', {})\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] in ('otel_coverage', 'opentelemetry')}\n"
        "    assert ours == {'otel_coverage', 'otel_coverage.pytest_plugin'}\n"
        "    assert 'httpx' not in sys.modules\n",
    )
    done = project.run("--strict-markers")
    assert "1 passed" in done.stdout, done.stdout
    assert "= playback =" not in done.stdout


def test_without_the_extra_it_says_what_to_install(project: Project) -> None:
    project.write("test_it.py", "def test_it(): pass\n")
    project.write("absent/httpx.py", "raise ModuleNotFoundError('no httpx', name='httpx')\n")
    done = project.run("--playback", path=str(project.folder / "absent"))
    assert done.returncode == 4
    assert "--playback needs httpx, which is not installed; pip install 'otel-coverage[playback]'" in done.stderr
    assert project.run(path=str(project.folder / "absent")).returncode == 0


def test_an_ini_file_switches_it_on_and_a_marker_with_a_bad_slug_says_what_is_expected(project: Project) -> None:
    project.write("pytest.ini", "[pytest]\nplayback = true\nplayback_targets = shop.test:80\n    127.0.0.1\n")
    project.write("test_it.py", "import pytest\n\n@pytest.mark.playback_profile('Check out')\ndef test_it(): pass\n")
    done = project.run()
    assert done.returncode == 4
    assert "test_it.py::test_it: the marker playback_profile names 'Check out'; use 1 to 128 of a-z" in done.stderr


def test_spans_that_a_collector_did_not_take_lie_in_the_spool_and_that_is_said(
    project: Project, tmp_path: Path
) -> None:
    project.write("test_it.py", APPLICATION)
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_COVERAGE_SOURCE": "shop",
        "OTEL_COVERAGE_RUN_ID": "night-7",
    }
    relaxed = project.run("--playback", "--playback-wait", "1", path=EXAMPLES, **environment)
    assert relaxed.returncode == 0, relaxed.stdout
    assert "spans of run night-7 lie in the spool and are sent from there" in relaxed.stdout
    strict = project.run("--playback", "--playback-wait", "1", "--playback-strict", path=EXAMPLES, **environment)
    assert strict.returncode == 1
    unkept = environment | {"OTEL_COVERAGE_SPOOL": "off"}
    lost = project.run("--playback", "--playback-wait", "1", path=EXAMPLES, **unkept)
    assert "spans of the playback itself did not reach the collector" in lost.stdout


def test_a_server_that_is_not_traced_is_named(project: Project) -> None:
    project.write(
        "test_it.py",
        "import threading, urllib.request\n"
        "from http.server import HTTPServer, SimpleHTTPRequestHandler\n\n"
        "def test_it():\n"
        "    with HTTPServer(('127.0.0.1', 0), SimpleHTTPRequestHandler) as server:\n"
        "        thread = threading.Thread(target=server.handle_request)\n"
        "        thread.start()\n"
        "        urllib.request.urlopen(f'http://127.0.0.1:{server.server_port}/').read()\n"
        "        thread.join()\n",
    )
    done = project.run("--playback", OTEL_TRACES_EXPORTER="none")
    assert done.returncode == 0
    assert "traced test_it.py-test_it: start it by `otel-coverage run -- …`" in done.stdout


def test_where_another_tool_has_the_trace_function_that_is_said_and_nothing_is_recorded(project: Project) -> None:
    project.write("conftest.py", "import sys\n\ndef pytest_sessionstart():\n    sys.settrace(lambda *_: None)\n")
    project.write("test_it.py", APPLICATION)
    environment = {"OTEL_TRACES_EXPORTER": "none", "OTEL_COVERAGE_ENGINE": "coverage", "OTEL_COVERAGE_SOURCE": "shop"}
    done = project.run("--playback", path=EXAMPLES, **environment)
    assert done.returncode == 0, done.stdout
    assert "another tool measures with the interpreter's one trace function" in done.stdout
    assert "no test made a request to a traced application" in done.stdout
