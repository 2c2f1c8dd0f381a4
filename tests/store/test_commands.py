"""``otel-coverage schema`` and ``otel-coverage query``, as the console script runs them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from otel_coverage.cli.main import main
from otel_coverage.cli.query import command
from otel_coverage.store import Store, open_store
from tests.support.spans import TracedSpan, insert_spans


class Ended(NamedTuple):
    code: object
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, which has the store open."""
    monkeypatch.delenv("OTEL_COVERAGE_STORE", raising=False)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["otel-coverage", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code, *capsys.readouterr())

    return run


def test_schema_apply_says_what_it_did_and_then_that_nothing_is_left(run: Run, empty_store_dsn: str) -> None:
    first = run("schema", "apply", "--store", empty_store_dsn)
    assert (first.code, first.out.splitlines()[0], first.err) == (0, "applied schema/0001_otel_traces", "")
    second = run("schema", "apply", "--store", empty_store_dsn)
    assert (second.code, second.out) == (0, "nothing to do: the schema is up to date\n")


def test_schema_apply_makes_the_database(run: Run, store_folder: Path) -> None:
    dsn = f"chdb://{store_folder}?database=made_by_apply"
    assert run("schema", "apply", "--store", dsn).code == 0
    with open_store(dsn) as store:
        assert store.query("SELECT count() FROM coverage_matrix").rows == [(0,)]
        store.command("DROP DATABASE made_by_apply SYNC")


def test_schema_show_says_what_an_older_server_lacks_and_prints_the_same_sql(run: Run) -> None:
    shown = run("schema", "show", "--for", "clickhouse-24.8")
    assert shown.code == 0
    assert shown.out == run("schema", "show").out
    assert [line.partition("lacks ")[2].partition(":")[0] for line in shown.err.splitlines()] == [
        "join runtime filters",
        "deduplication of asynchronous inserts below materialized views by default",
    ]
    later = run("schema", "show", "--for", "25.10.2.65-stable").err
    assert later.startswith("otel-coverage: ClickHouse 25.10 lacks join runtime filters by default: SET enable_join")
    assert "24.8 is the oldest that all of this SQL is run on" in run("schema", "show", "--for", "23.3").err
    assert run("schema", "show", "--for", "26.3").err == ""


def test_schema_show_refuses_what_is_no_version_of_a_server(run: Run) -> None:
    shown = run("schema", "show", "--for", "the newest")
    assert (shown.code, shown.out) == (2, "")
    assert "--for 'the newest': expected a version of ClickHouse, such as clickhouse-24.8" in shown.err


def test_schema_show_prints_sql_and_needs_no_store(run: Run) -> None:
    shown = run("schema", "show")
    assert shown.code == 0
    assert "CREATE OR REPLACE VIEW coverage_matrix AS" in shown.out


def test_query_prints_json_into_a_pipe(run: Run, store: Store, store_dsn: str) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    ended = run("query", "matrix", "--store", store_dsn)
    assert (ended.code, ended.err) == (0, "")
    assert [record["symbol"] for record in json.loads(ended.out)] == ["shop:f@1"]


def test_query_prints_a_table_on_a_terminal(run: Run, store_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("query", "--sql", "SELECT 1 AS one, 'x' AS two;", "--store", store_dsn).out == "one  two\n  1  x\n"


def test_query_prints_the_format_that_is_asked_for(run: Run, store_dsn: str) -> None:
    ask = ("query", "--sql", "SELECT 1 AS one", "--store", store_dsn, "--format")
    assert run(*ask, "csv").out == "one\n1\n"
    assert run(*ask, "table").out == "one\n  1\n"
    assert run(*ask, "markdown").out == "| one |\n| --- |\n| 1 |\n"
    assert run(*ask, "json").out == '[\n{"one": 1}\n]\n'


def test_query_prints_the_header_of_a_file_without_rows_too(run: Run, store_dsn: str) -> None:
    ask = ("query", "--store", store_dsn, "--format", "csv")
    assert run(*ask, "modules").out == (
        "module,functions_covered,functions_total,percent,lines_covered,lines_total,lines_percent,"
        "functions_at_startup,package\n"
    )
    assert run(*ask, "--sql", "SELECT 1 AS one WHERE {x:String} = ''", "--param", "x=y").out == "one\n"


def test_query_writes_parquet_that_others_read(store: Store, store_dsn: str, tmp_path: Path) -> None:
    insert_spans(store, TracedSpan(profile="it's, 🛒", functions=["shop:f@1"]))
    ended = CliRunner().invoke(command, ["matrix", "--store", store_dsn, "--format", "parquet"])
    assert ended.exit_code == 0
    (tmp_path / "matrix.parquet").write_bytes(ended.stdout_bytes)
    read = store.query(
        "SELECT profile, symbol, line, first_seen FROM file({path:String}, Parquet)",
        {"path": str(tmp_path / "matrix.parquet")},
    )
    assert read.rows == [("it's, 🛒", "shop:f@1", 1, datetime(2026, 1, 1, tzinfo=timezone.utc))]


def test_query_writes_no_parquet_to_a_terminal(run: Run, store_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    ended = run("query", "matrix", "--store", store_dsn, "--format", "parquet")
    assert (ended.code, ended.err) == (
        2,
        "otel-coverage: parquet is binary: redirect it to a file\n",
    )


def test_query_finds_the_store_in_the_environment(run: Run, store_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    assert run("query", "gaps").out == "[]\n"


def test_query_binds_the_parameters_of_sql_too(run: Run, store_dsn: str) -> None:
    ended = run("query", "--sql", "SELECT {a:String} AS a", "--param", "a=it's = x", "--store", store_dsn)
    assert json.loads(ended.out) == [{"a": "it's = x"}]


def test_query_lists_the_named_ones_with_their_parameters(run: Run) -> None:
    listed = run("query", "--list").out
    assert "leaderboard: Profiles, those that execute the most functions first, and whether " in listed
    assert "  --param module=…  only rows about this one; empty: all\n" in listed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gapz"], "no query 'gapz'; did you mean gaps"),
        (
            ["gaps", "--param", "modul=x"],
            "query 'gaps' has no parameter 'modul'; it takes module, namespace, profiles, revision, runs, services",
        ),
        (["gaps", "--param", "module"], "--param 'module': write NAME=VALUE"),
        ([], "give either a query's name"),
        (["gaps", "--sql", "SELECT 1"], "give either a query's name"),
        (["--sql", "SELEC 1"], "Syntax error"),
        (["--sql", "SELECT {a:UInt8}", "--param", "a=x"], "cannot be parsed as UInt8"),
        (["--sql", "SELECT {a:UInt8}"], "Substitution `a` is not set"),
        (["--sql", "DROP TABLE code_symbols"], "readonly mode"),
        (["gaps", "--format", "xml"], "'xml' is not one of 'csv', 'json', 'markdown', 'parquet', 'table'"),
    ],
)
def test_query_says_in_one_line_what_is_wrong(run: Run, store_dsn: str, arguments: list[str], says: str) -> None:
    ended = run("query", *arguments, "--store", store_dsn)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert ended.err.startswith("otel-coverage: ")
    assert ended.err.count("\n") == 1


def test_query_without_a_store_says_how_to_name_one(run: Run) -> None:
    ended = run("query", "gaps")
    assert (ended.code, ended.err) == (2, "otel-coverage: no store given: use --store or set OTEL_COVERAGE_STORE\n")


def test_query_of_a_store_that_is_not_there_makes_none(run: Run, tmp_path: Path) -> None:
    ended = run("query", "gaps", "--store", f"chdb://{tmp_path}/typo")
    assert ended.code == 2
    assert "there is no store" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_schema_apply_with_backfill_reads_what_was_there_before(run: Run, store: Store, store_dsn: str) -> None:
    detached = run("schema", "detach", "--store", store_dsn)
    assert (detached.code, detached.out) == (0, "detached\n")
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    assert run("query", "matrix", "--store", store_dsn).out == "[]\n"
    applied = run("schema", "apply", "--backfill", "--store", store_dsn)
    assert (applied.code, applied.out) == (
        0,
        "applied views/0001_materialized_views\nread 1 span of traced contexts\n",
    )
    assert [record["symbol"] for record in json.loads(run("query", "matrix", "--store", store_dsn).out)] == ["shop:f@1"]


def test_schema_detach_says_when_there_is_nothing_to_detach(run: Run, empty_store_dsn: str) -> None:
    ended = run("schema", "detach", "--store", empty_store_dsn)
    assert (ended.code, ended.out) == (0, "nothing to do: there is no such view\n")


def test_store_prune_says_what_it_deletes_and_deletes_nothing_in_a_dry_run(
    run: Run, store: Store, store_dsn: str
) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"]), TracedSpan(id="s2", revision="def", functions=["shop:f@1"]))
    dry = run("store", "prune", "--older-than", "1", "--dry-run", "--store", store_dsn)
    assert [line.rpartition(",")[0] for line in dry.out.splitlines()] == ["would delete abc", "would delete def"]
    assert run("store", "prune", "--older-than", "36500", "--store", store_dsn).out.startswith("nothing to do")
    assert run("store", "prune", "--revision", "abc", "--store", store_dsn).out.startswith("deleted abc, ")
    assert store.query("SELECT DISTINCT revision FROM coverage_functions").rows == [("def",)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no revision given: use --revision"),
        (["--revision", "x"], "no coverage of revision 'x'; it has none"),
    ],
)
def test_store_prune_says_in_one_line_what_is_wrong(run: Run, store_dsn: str, arguments: list[str], says: str) -> None:
    ended = run("store", "prune", *arguments, "--store", store_dsn)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert says in ended.err


def test_store_stats_shows_the_tables(run: Run, store: Store, store_dsn: str) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    shown = {row["table"]: row["rows"] for row in json.loads(run("store", "stats", "--store", store_dsn).out)}
    assert shown["coverage_functions"] == 1


def test_redundancy_prints_the_set(run: Run, store: Store, store_dsn: str) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"]), TracedSpan(id="s2", profile="z", functions=["shop:f@1"]))
    ended = run("redundancy", "--store", store_dsn, "--keep", "90", "--format", "csv")
    assert (ended.code, ended.out, ended.err) == (0, "profile,adds,functions,percent\ncheckout,1,1,100.0\n", "")


def test_redundancy_says_of_which_profiles_coverage_is_missing(run: Run, store: Store, store_dsn: str) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"], attributes={"coverage.complete": "false"}))
    ended = run("redundancy", "--store", store_dsn, "--format", "csv")
    assert (ended.code, ended.out.count("\n")) == (0, 2)
    assert "incomplete: 'checkout' (no_reason)" in ended.err
