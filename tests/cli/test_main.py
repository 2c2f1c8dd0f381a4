"""The command line: help, errors and completion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from otel_coverage import __version__
from otel_coverage.cli.main import COMMANDS, cli


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_coverage", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.startswith("  ")]
    assert [name for name in listed if name in COMMANDS] == sorted(COMMANDS)


def test_help_imports_no_command() -> None:
    code = (
        "import sys; sys.argv = ['otel-coverage', '--help']\n"
        "from otel_coverage.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([n for n in sys.modules if n.partition('.')[0] in ('clickhouse_connect', 'chdb', 'rich', 'httpx')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_every_command_has_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: otel-coverage {command}")
    assert f"otel-coverage {command}" in done.stdout.partition("Example")[2]


def all_commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from all_commands(found, *path, name)


def test_the_help_of_every_command_shows_how_it_is_called() -> None:
    for path in all_commands(cli):
        shown = CliRunner().invoke(cli, [*path, "--help"]).output
        _, _, examples = shown.partition("Example")
        assert " ".join(["otel-coverage", *path]) in examples, path


def test_version_prints_the_packages_version() -> None:
    assert run("--version").stdout.strip() == f"otel-coverage, version {__version__}"


def test_without_a_command_the_help_goes_to_stderr_and_the_exit_code_is_two() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: otel-coverage")


def test_a_group_of_commands_without_one_does_the_same() -> None:
    done = run("catalog")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: otel-coverage catalog")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reprot"], ["reprot", "did you mean report?", "see otel-coverage --help"]),
        (["--colour"], ["--colour", "see otel-coverage --help"]),
        (["catalog", "bild"], ["bild", "did you mean build?", "see otel-coverage catalog --help"]),
        (["catalog", "build", "--sauce", "x"], ["--sauce", "see otel-coverage catalog build --help"]),
        (["catalog", "build", "--format", "xml"], ["--format", "xml", "json", "table"]),
        (["catalog", "push"], ["--store"]),
        (["catalog", "build", "--source", "no_such_thing"], ["argument source", "no_such_thing"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(arguments: list[str], words: list[str]) -> None:
    done = run(*arguments, OTEL_COVERAGE_STORE="")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("otel-coverage: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("arguments", [["report", "--out", "out"], ["catalog", "push", "--revision", "1"]])
def test_a_command_whose_extra_is_missing_says_what_to_install(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "clickhouse_connect.py").write_text("raise ModuleNotFoundError('gone', name='clickhouse_connect')\n")
    done = run(
        *arguments, OTEL_COVERAGE_SOURCE=str(tmp_path), OTEL_COVERAGE_STORE="chdb:///x", PYTHONPATH=str(tmp_path)
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "clickhouse_connect" in done.stderr
    assert "pip install 'otel-coverage[" in done.stderr


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text("".join(f"def f{number}():\n    pass\n" for number in range(3000)))
    command = [sys.executable, "-m", "otel_coverage", "catalog", "build", "--source", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_no_color_and_pipes_get_plain_text() -> None:
    for environment in ({"NO_COLOR": "1"}, {}):
        assert "\x1b" not in run("catalog", "--help", **environment).stdout


def complete(line: str, **environment: str) -> list[str]:
    words = line.split(" ")
    done = run(_OTEL_COVERAGE_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), **environment)
    return [candidate.partition(",")[2] for candidate in done.stdout.splitlines()]


def test_the_shell_completes_commands_and_options() -> None:
    assert complete("otel-coverage c") == ["catalog", "ci", "collect"]
    assert complete("otel-coverage catalog ") == ["build", "check", "push", "schema"]
    assert "--source" in complete("otel-coverage catalog build --s")


def test_the_shell_completes_commands_whose_extra_is_missing(tmp_path: Path) -> None:
    for module in ("clickhouse_connect", "grpc"):
        (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError('gone', name={module!r})\n")
    assert complete("otel-coverage c", PYTHONPATH=str(tmp_path)) == ["catalog", "ci", "collect"]
