"""Tables for people, JSON for programs: one rule for every command."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.store import Store
from tests.reporting.project import SPANS, fill, make_project
from tests.support.commands import clean_environment

SYMBOL = "shop.orders:place.<locals>.check@28"


@pytest.fixture
def filled(store: Store, store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    monkeypatch.chdir(tmp_path)
    fill(store, make_project(tmp_path / "project"), SPANS)
    return store


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


COMMANDS = [
    ("query", "leaderboard"),
    ("query", "--sql", "SELECT profile FROM profile_leaderboard"),
    ("redundancy",),
    ("store", "stats"),
    ("report", "--out", "artifacts", "--source", "project"),
    ("catalog", "build", "--source", "project"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS", "GITLAB_CI"])
def test_the_log_of_a_ci_job_gets_tables(
    filled: Store, command: tuple[str, ...], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(call(*command).stdout)
    monkeypatch.setenv(variable, "true")
    assert not call(*command).stdout.lstrip().startswith(("[", "{"))
    assert json.loads(call(*command, "--format", "json").stdout)
    monkeypatch.setenv(variable, "false")
    assert json.loads(call(*command).stdout)


def test_a_file_gets_json_in_a_ci_job_too(tmp_path: Path) -> None:
    """What is written to a file there is for a program."""
    (tmp_path / "app.py").write_text("def f(): return 1\n", encoding="utf-8")
    with (tmp_path / "out.json").open("w+", encoding="utf-8") as file:
        command = [sys.executable, "-m", "otel_coverage", "catalog", "build", "--source", str(tmp_path)]
        subprocess.run(command, stdout=file, check=True, env=clean_environment(CI="true"))
        file.seek(0)
        assert json.load(file)["symbols"]


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that no process has open."""
    folder = tmp_path_factory.mktemp("own")
    script = f"""
from tests.reporting.project import fill, make_project
from otel_coverage.store import open_store, schema
from pathlib import Path
with open_store("chdb://{folder}/store", create=True) as store:
    schema.apply(store)
    fill(store, make_project(Path({str(folder)!r}) / "project"))
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2], timeout=120)
    return f"chdb://{folder}/store"


def on_terminal(columns: int, *command: str, **environment: str) -> str:
    """What a terminal of that width gets."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_coverage", *command],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=clean_environment(COLUMNS=str(columns), TERM="xterm", **environment),
    )
    os.close(theirs)
    printed = b""
    try:
        while part := os.read(ours, 65536):
            printed += part
    except OSError:  # the other end was closed
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0
    return printed.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_no_terminal_breaks_a_symbol(own_store: str, columns: int) -> None:
    printed = on_terminal(columns, "query", "reverse-index", "--store", own_store)
    assert SYMBOL in printed
    printed = on_terminal(columns, "query", "gaps", "--store", own_store)
    assert "shop (4)\n  shop.jobs (3)\n" in printed
    printed = on_terminal(columns, "query", "matrix", "--wide", "--store", own_store)
    assert {SYMBOL, "exemplar_trace_id"} <= set(printed.split())


def test_a_narrow_terminal_gets_the_whole_report(own_store: str, tmp_path: Path) -> None:
    source = own_store.removeprefix("chdb://").replace("store", "project")
    printed = on_terminal(30, "report", "--store", own_store, "--source", source, "--out", str(tmp_path / "out"))
    assert "profile    checkout\nfunctions  5\nof all     62.5 %\n" in printed
    assert "largest gaps     shop.jobs\nnot executed   2\n" in printed


def test_colours_obey_no_color(own_store: str, tmp_path: Path) -> None:
    report = ("report", "--store", own_store, "--source", own_store.removeprefix("chdb://").replace("store", "project"))
    assert "\x1b[1m" in on_terminal(100, *report, "--out", str(tmp_path / "a"))
    assert "\x1b[3" not in on_terminal(100, *report, "--out", str(tmp_path / "b"), NO_COLOR="1")


def test_columns_are_chosen_by_name(filled: Store) -> None:
    done = call("query", "leaderboard", "--columns", "profile,functions", "--format", "csv")
    assert done.stdout == "profile,functions\ncheckout,5\nbrowse,3\n"
    with pytest.raises(Exception, match=r"--columns 'function': no such column; did you mean functions"):
        call("query", "leaderboard", "--columns", "function")


def test_no_name_of_a_file_is_a_command_to_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J.py").write_text("def f(): return 1\n", encoding="utf-8")
    (tmp_path / "b\x1b[2J.py").write_text("def f(:\n", encoding="utf-8")
    done = call("catalog", "build", "--source", str(tmp_path), "--format", "table")
    for text in (done.stdout, done.stderr):
        assert "\\x1b[2J" in text
        assert text.replace("\n", "").isprintable()
