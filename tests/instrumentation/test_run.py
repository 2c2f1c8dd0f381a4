"""``otel-coverage run``: what it refuses before anything starts, and what it passes on."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support.commands import BIN, call

COMMAND = str(BIN / "otel-coverage")
SHOW = (
    "import json, os; print(json.dumps({name: value for name, value in os.environ.items() "
    "if name.startswith(('OTEL_COVERAGE', 'PYTHONPATH'))}))"
)


def run(*arguments: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    done = call([COMMAND, "run", *arguments], folder, **{"OTEL_COVERAGE_ENABLED": "1", **environment})
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--", "no-such-command"], {}, "no-such-command: command not found on PATH"),
        (["--no-such-option", "--", "python"], {}, "No such option"),
        ([], {}, "Missing argument"),
        (["--source", "no_such_package", "--", "python"], {}, "no_such_package"),
        (["--source", "empty", "--", "python"], {}, "source empty: no Python file matches"),
        (["--rcfile", "no-such-file", "--", "python"], {}, "no-such-file: no such file"),
        (["--granularity", "branch", "--", "python"], {}, "'branch'"),
        (["--", "python"], {"OTEL_COVERAGE_GRANULARITY": "branch"}, "OTEL_COVERAGE_GRANULARITY is 'branch'"),
        (["--", "python"], {"OTEL_COVERAGE_ENABLED": "perhaps"}, "OTEL_COVERAGE_ENABLED is 'perhaps'"),
        (["--", "python"], {"OTEL_TRACES_EXPORTER": "by_pigeon"}, "by_pigeon"),
        (["--", "python"], {"OTEL_PROPAGATORS": "baggage,by_pigeon"}, "the propagator 'by_pigeon', which is not"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_in_one_line(
    arguments: list[str], environment: dict[str, str], message: str, project: Path
) -> None:
    (project / "empty").mkdir()
    code, output, error = run(*arguments, folder=project, **environment)
    assert (code, output) == (2, "")
    assert error.startswith("otel-coverage: ")
    assert len(error.splitlines()) == 1
    assert message in error


@pytest.mark.until(3, 11)
def test_an_engine_that_this_python_cannot_run_is_refused(project: Path) -> None:
    code, _, error = run("--engine", "monitoring", "--", "python", folder=project)
    assert code == 2
    assert "needs CPython 3.12" in error


def test_settings_are_passed_on_so_that_they_mean_the_same_in_any_folder(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.otel_coverage]\nsource = ["shop"]\ngranularity = "function"\n')
    code, output, error = run(
        "--engine", "coverage", "--", "python", "-c", SHOW, folder=project, OTEL_TRACES_EXPORTER="none"
    )
    assert (code, error) == (0, "")
    environment = json.loads(output)
    assert environment["OTEL_COVERAGE_SOURCE"] == str(project / "shop")
    assert environment["OTEL_COVERAGE_GRANULARITY"] == "function"
    assert environment["OTEL_COVERAGE_ENGINE"] == "coverage"
    assert "OTEL_COVERAGE_RCFILE" not in environment


def test_options_override_the_environment(project: Path) -> None:
    _, output, _ = run(
        *("--granularity", "line", "--", "python", "-c", SHOW),
        folder=project,
        OTEL_COVERAGE_GRANULARITY="function",
        OTEL_TRACES_EXPORTER="none",
    )
    assert json.loads(output)["OTEL_COVERAGE_GRANULARITY"] == "line"


def test_pythonpath_is_kept_behind_the_folder_that_starts_us(project: Path) -> None:
    _, output, _ = run("--", "python", "-c", SHOW, folder=project, PYTHONPATH="/a:/b", OTEL_TRACES_EXPORTER="none")
    first, *others = json.loads(output)["PYTHONPATH"].split(os.pathsep)
    assert Path(first, "sitecustomize.py").is_file()
    assert others[-2:] == ["/a", "/b"]


def test_the_commands_own_exit_code_and_options_are_its_own(project: Path) -> None:
    code, output, _ = run(
        *("python", "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "--source", "x"),
        folder=project,
        OTEL_TRACES_EXPORTER="none",
    )
    assert (code, output) == (7, "['--source', 'x']\n")


def test_a_setting_that_cannot_be_used_is_logged_by_the_process_and_the_program_runs(project: Path) -> None:
    done = call(
        [str(BIN / "opentelemetry-instrument"), sys.executable, "-c", "print('ran')"],
        project,
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_ENGINE="magic",
    )
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "otel-coverage: this process is not traced: OTEL_COVERAGE_ENGINE is 'magic'" in done.stderr
    assert "Traceback" not in done.stderr
