"""Names that somebody mistypes or shortens, and what shells complete."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store
from otel_coverage.store.known_names import known_revision
from tests.reporting.project import SPANS, make_project
from tests.support.spans import insert_spans

IDENTITY = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def commit(store: Store, store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A project whose only commit, tagged v1, has coverage in the store."""
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    for name in ("OTEL_RESOURCE_ATTRIBUTES", "OTEL_COVERAGE_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    make_project(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"], ["tag", "v1"]):
        git(*command)
    sha = git("rev-parse", "HEAD")
    insert_spans(store, *(span.but(revision=sha) for span in SPANS))
    insert_spans(store, SPANS[0].but(id="n", trace="n", revision="newer", second=99))
    return sha


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("name", ["HEAD", "v1", "short", "v1^0"])
def test_a_revision_is_what_git_takes_it_for(commit: str, name: str, tmp_path: Path) -> None:
    given = commit[:7] if name == "short" else name
    done = call("query", "matrix", "--param", f"revision={given}", "--columns", "profile", "--format", "csv")
    assert done.stdout.split() == ["profile", *["browse"] * 3, *["checkout"] * 5], done.output
    done = call("report", "--out", str(tmp_path / "out"), "--revision", given)
    assert json.loads(done.stdout)["revision"] == commit, done.output
    done = call("redundancy", "--revision", given, "--format", "csv")
    assert done.stdout.splitlines()[1].startswith("checkout,5"), done.output


def test_a_commit_without_coverage_is_named(commit: str) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "two")
    done = call("query", "gaps", "--param", "revision=HEAD")
    assert isinstance(done.exception, ConfigurationError)
    second = git("rev-parse", "HEAD")
    assert f"no coverage of revision 'HEAD', which git says is {second}; it has newer, {commit}" in str(done.exception)


def test_a_short_sha_of_several_is_an_error_and_one_without_local_changes_wins(
    tmp_path: Path,
) -> None:
    a, b = "abcd" + "0" * 36, "abcd" + "1" * 36
    assert known_revision("abcd", [a, f"{a}+dirty.1"], "store") == a
    assert known_revision("abcd", [f"{a}+dirty.1"], "store") == f"{a}+dirty.1"
    with pytest.raises(ConfigurationError, match=r"store: revision 'abcd' is ambiguous; did you mean abcd0+, abcd1+\?"):
        known_revision("abcd", [a, b], "store")
    with pytest.raises(ConfigurationError, match="no coverage of revision 'main'; did you mean main-2"):
        known_revision("main", ["main-2"], "store", tmp_path)  # not a SHA, so nothing but a suggestion
    with pytest.raises(ConfigurationError, match="no coverage of revision '--help'"):
        known_revision("--help", [a], "store")


@pytest.mark.parametrize(
    ("query", "parameter", "message"),
    [
        ("matrix", "profile=chekout", r"no profile 'chekout'; did you mean checkout\?"),
        ("gaps", "profiles=browse,chekout", r"no profile 'chekout'; did you mean checkout\?"),
        ("gaps", "module=shop.order", r"no module 'shop.order'; did you mean shop.orders\?"),
        ("gaps", "services=wep", r"no service 'wep'; did you mean web"),
        ("runs", "runs=zzz", "no run 'zzz'; it has r1"),
        ("diff", "base=newr", r"no coverage of revision 'newr'; did you mean newer\?"),
    ],
)
def test_a_query_about_an_unknown_name_suggests_those_like_it(
    commit: str, query: str, parameter: str, message: str
) -> None:
    done = call("query", query, "--param", parameter)
    assert isinstance(done.exception, ConfigurationError)
    assert re.search(message, str(done.exception))


def test_a_mistyped_view_in_sql_suggests_those_like_it(commit: str) -> None:
    done = call("query", "--sql", "SELECT * FROM coverage_matrx")
    assert "no table or view 'coverage_matrx'; did you mean coverage_matrix" in str(done.exception)


def test_a_report_says_that_the_commit_here_has_no_run(commit: str, tmp_path: Path, store: Store) -> None:
    at_commit = ("report", "--out", str(tmp_path / "out"), "--namespace", "here")
    insert_spans(store, *(span.but(revision=commit, namespace="here") for span in SPANS))
    assert "has coverage" not in call(*at_commit).stderr.replace("revision with coverage", "")
    git("commit", "--quiet", "--allow-empty", "--message", "two")
    second = git("rev-parse", "HEAD")
    done = call(*at_commit)
    assert f"the source tree is at {second}, of which no run has coverage: this report is about an older" in done.stderr


def test_a_query_about_a_run_that_has_no_rows_says_so(commit: str, store: Store) -> None:
    insert_spans(store, SPANS[0].but(id="o", trace="o", run="only", revision="newest", second=100, functions=[]))
    done = call("query", "matrix", "--param", "runs=only")
    assert (done.stdout, done.exit_code) == ("[]\n", 0)
    assert "no rows: matrix has none about only at revision newest" in done.stderr


def test_a_report_without_the_source_says_how_to_go_on(
    commit: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("catalog", "build", "--source", ".", "--out", str(tmp_path / "symbols.json")).exit_code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = call("report", "--out", "out", "--revision", commit)
    assert "catalog build --out symbols.json` where it is, and add --symbols symbols.json here" in str(done.exception)
    done = call("report", "--out", "out", "--revision", commit, "--symbols", "../symbols.json")
    assert done.exit_code == 0, done.output
    monkeypatch.chdir(tmp_path / "project")  # the data file names paths below the source
    shown = subprocess.run(
        [
            *(sys.executable, "-m", "coverage", "report", "--rcfile", "../elsewhere/out/coveragerc"),
            *("--data-file", "../elsewhere/out/browse.coverage"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.search(r"shop/orders.py +17 +13 +24%", shown.stdout)
    (tmp_path / "not.json").write_text("[]", encoding="utf-8")
    done = call("report", "--out", "out", "--symbols", str(tmp_path / "not.json"))
    assert "not a catalog" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "completed"), [("otel-coverage repo", "report"), ("otel-coverage query reverse", "reverse-index")]
)
def test_a_shell_completes_commands_and_queries(words: str, completed: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("otel-coverage")],
        env={
            **os.environ,
            "_OTEL_COVERAGE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"plain,{completed}\n", done.stderr


def test_names_in_errors_hold_no_control_characters() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "otel_coverage", "query", "a\x1b[2J\x9bb", "--store", "chdb:///nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "\\x1b[2J\\x9bb" in done.stderr
    assert done.stderr.rstrip("\n").isprintable()
