"""`store forget`: a run that was taken out is in no answer, whatever arrives of it later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store, archive, forgetting, open_store, schema
from otel_coverage.store.folding import fold
from otel_coverage.store.named_queries import named_query
from tests.collecting.test_while_collecting import collecting
from tests.store.test_folding import ASKS, say, window
from tests.support.commands import BIN, call
from tests.support.spans import TracedSpan, insert_catalog, insert_spans

SERVED = TracedSpan(functions=["shop:f@1"], lines=["shop.py:1-2"], arcs=["shop.py:-1/1/-1"], parent="c")
PLAYED = TracedSpan(id="c", role="client", kind="Client", service="playback", revision="")
ENDED = TracedSpan(id="e", role="", outcome="passed", service="playback", revision="")


def run(name: str, trace: str, function: str, **changes: Any) -> list[TracedSpan]:
    """A whole run: the client's spans, and the request that was served."""
    own = {"run": name, "trace": trace, **changes}
    return [PLAYED.but(**own), ENDED.but(**own), SERVED.but(functions=[f"shop:{function}@1"], **own)]


GOOD = [*run("good", "t1", "f"), *run("good", "t2", "g", profile="search")]
BAD = [*run("bad", "t3", "h", second=10), *run("bad", "t4", "g", profile="refund", second=11)]
ANSWERS = (
    "SELECT profile, run, outcome, counted, complete FROM profile_runs ORDER BY ALL",
    "SELECT profile, symbol, first_seen FROM coverage_matrix ORDER BY ALL",
    "SELECT qualname, arraySort(profiles) FROM symbol_profiles ORDER BY ALL",
    "SELECT file, arraySort(groupArrayArray(lines)) FROM counted_lines GROUP BY file ORDER BY ALL",
    "SELECT run, profile, outcome FROM lost_runs ORDER BY ALL",
    "SELECT run, incomplete_reason FROM missing_coverage ORDER BY ALL",
    "SELECT profile, newest_run FROM absent_profiles ORDER BY ALL",
    "SELECT qualname FROM coverage_gaps ORDER BY ALL",
)
FILLED = """
SELECT DISTINCT table FROM system.parts
WHERE database = currentDatabase() AND active AND table NOT IN ('coverage_schema', 'otel_traces', 'coverage_batches')
"""


def answers(store: Store) -> list[list[tuple[Any, ...]]]:
    return [store.query(sql).rows for sql in ANSWERS]


def rows_of(store: Store, name: str) -> dict[str, int]:
    """Rows that name a run, in each table that has some."""
    found = {}
    for (table,) in store.query(FILLED).rows:
        names = store.query(f"SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '{table}'")
        if ("run",) in names.rows:
            where = {"run": name}
            (found[table],) = store.query(f"SELECT count() FROM {table} WHERE run = {{run:String}}", where).rows[0]
    return {table: count for table, count in found.items() if count}


def forget(dsn: str, *options: str) -> Result:
    return CliRunner().invoke(cli, ["store", "forget", "--store", dsn, *options])


@pytest.fixture
def catalog(store: Store) -> Store:
    insert_catalog(store, *({"qualname": name, "line": 1} for name in "fgh"))
    return store


def test_a_forgotten_run_is_in_no_answer_and_the_others_are_as_without_it(catalog: Store, store_dsn: str) -> None:
    insert_spans(catalog, *GOOD)
    expected = answers(catalog)
    insert_spans(catalog, *BAD)
    assert answers(catalog) != expected
    assert len(rows_of(catalog, "bad")) >= 6
    done = forget(store_dsn, "--run", "bad", "--yes")
    assert done.exit_code == 0, done.output or done.exception
    assert [(each["run"], each["profile"], each["outcome"], each["requests"]) for each in json.loads(done.stdout)] == [
        ("bad", "checkout", "passed", 1),
        ("bad", "refund", "passed", 1),
    ]
    assert answers(catalog) == expected
    assert rows_of(catalog, "bad") == {"coverage_run_windows": 1}


def test_what_arrives_of_it_once_more_does_not_count_and_is_named(catalog: Store) -> None:
    insert_spans(catalog, *GOOD)
    expected = answers(catalog)
    insert_spans(catalog, *BAD)
    forgetting.forget(catalog, "bad")
    insert_spans(catalog, *BAD)
    assert [row for row in answers(catalog)[0] if row[1] != "bad"] == expected[0]
    reasons = "SELECT profile, counted, complete, incomplete_reasons FROM profile_runs WHERE run = 'bad' ORDER BY ALL"
    late = [("checkout", False, False, ["forgotten"]), ("refund", False, False, ["forgotten"])]
    assert [row for row in catalog.query(reasons).rows if row[3]] == late
    assert answers(catalog)[3:] == expected[3:]
    names = {
        name for name, profiles in catalog.query("SELECT qualname, profiles FROM symbol_profiles").rows if profiles
    }
    assert names == {"f", "g"}
    assert named_query("runs").ask(catalog, {}).rows
    forgetting.forget(catalog, "bad")
    assert answers(catalog) == expected


def test_a_run_that_failed_counts_again_when_the_one_that_passed_is_forgotten(store: Store) -> None:
    called, _, served = run("late", "t2", "g", second=5)
    failed = ENDED.but(run="late", trace="t2", second=5, outcome="failed")
    insert_spans(store, *run("bad", "t1", "f"), called, failed, served)
    counted = "SELECT run FROM profile_runs WHERE counted AND revision != '' ORDER BY run"
    assert store.query(counted).rows == [("bad",)]
    forgetting.forget(store, "bad")
    insert_spans(store, *run("bad", "t1", "f"))
    assert store.query(counted).rows == [("late",)]
    assert store.query("SELECT DISTINCT symbol FROM coverage_matrix").rows == [("shop:g@1",)]


def test_a_later_run_may_have_its_id(store: Store) -> None:
    insert_spans(store, *run("night", "t1", "f"))
    forgetting.forget(store, "night")
    insert_spans(store, *run("night", "t2", "g", second=3600 * 24 * 365 * 30))
    assert store.query("SELECT DISTINCT symbol FROM coverage_matrix").rows == [("shop:g@1",)]


def test_requests_that_a_window_told_the_run_of_are_forgotten_with_it(store: Store) -> None:
    insert_spans(store, ASKS, ASKS.but(trace="t2", second=100))
    say(store, *window("bad", -1, 20), *window("good", 90, 120))
    fold(store)
    counted = "SELECT run FROM profile_runs WHERE counted AND revision != '' ORDER BY run"
    assert store.query(counted).rows == [("bad",), ("good",)]
    forgetting.forget(store, "bad")
    fold(store)
    assert store.query(counted).rows == [("good",)]
    insert_spans(store, ASKS)
    fold(store)
    assert store.query(counted).rows == [("good",)]


def test_an_export_carries_it_to_a_store_that_has_the_run_of_another_file(
    store: Store, empty_store_dsn: str, tmp_path: Path
) -> None:
    insert_spans(store, *GOOD, *BAD)
    archive.export(store, tmp_path / "before")
    forgetting.forget(store, "bad")
    archive.export(store, tmp_path / "after")
    with open_store(empty_store_dsn, create=True) as merged:
        schema.apply(merged)
        for name in ("after", "before"):
            archive.insert(merged, tmp_path / name)
        runs = merged.query("SELECT DISTINCT run FROM profile_runs WHERE counted AND revision != ''").rows
    assert runs == [("good",)]


def test_a_run_that_is_not_there_is_refused_and_similar_ones_are_named(store: Store, store_dsn: str) -> None:
    insert_spans(store, *GOOD)
    done = forget(store_dsn, "--run", "goood", "--yes")
    assert isinstance(done.exception, ConfigurationError)
    assert str(done.exception) == f"{store.dsn}: no run 'goood'; did you mean good?"


def test_nothing_is_deleted_where_nobody_can_be_asked(store: Store, store_dsn: str) -> None:
    insert_spans(store, *GOOD)
    done = forget(store_dsn, "--run", "good")
    assert str(done.exception) == "nobody is there to be asked; --yes deletes without a question"
    assert rows_of(store, "good")


def test_a_collector_that_holds_the_store_takes_a_run_out(store: Store, tmp_path: Path) -> None:
    dsn, command = f"chdb://{tmp_path / 'store'}", str(BIN / "otel-coverage")
    insert_spans(store, *GOOD, *BAD)
    archive.export(store, tmp_path / "both")
    made = call([command, "store", "import", str(tmp_path / "both"), "--store", dsn])
    assert made.returncode == 0, made.stderr
    with collecting(dsn):
        done = call([command, "store", "forget", "--run", "bad", "--yes", "--store", dsn])
        assert done.returncode == 0, done.stderr
        asked = call([command, "query", "--store", dsn, "--sql", "SELECT DISTINCT run FROM profile_runs"])
    assert json.loads(asked.stdout) == [{"run": "good"}]
