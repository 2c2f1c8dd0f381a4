"""Who waits for spans that were accepted, and for their being put into runs; and how often that is done."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from otel_coverage.collecting import Access, Collector, Endpoint
from otel_coverage.collecting import folds as folds_module
from otel_coverage.collecting.clickhouse.application import _is_independent_of_spans
from otel_coverage.collecting.folds import Folds
from otel_coverage.errors import StoreError
from otel_coverage.store import Store, open_store
from otel_coverage.store.folding import Folded, fold
from otel_coverage.store.table_state import STATEMENT
from otel_coverage.store.windows import _WINDOWS
from tests.support.spans import TracedSpan, insert_spans

PATIENCE = 60.0
FREE_PORT = Endpoint("127.0.0.1", 0)
SPANS = "SELECT count() FROM otel_traces"


@pytest.mark.parametrize(
    ("sql", "waits"),
    [
        pytest.param(_WINDOWS, False, id="what was said of windows"),
        pytest.param("DESCRIBE TABLE `coverage_run_windows`", False, id="the columns of a table"),
        pytest.param("SELECT version(), timezone()", False, id="what a client asks that connects"),
        pytest.param("SELECT name, value FROM system.settings LIMIT 1 FORMAT Native", False, id="settings"),
        pytest.param("SELECT count() FROM system.parts", True, id="how much there is"),
        pytest.param(f"{STATEMENT}\n FORMAT Native", False, id="whether tables have changed"),
        pytest.param(f"{STATEMENT}, ({SPANS})", True, id="that, and spans"),
        pytest.param(SPANS, True, id="spans"),
        pytest.param("SELECT run FROM profile_runs", True, id="a view of them"),
        pytest.param(f"SELECT ({SPANS}) FROM run_windows", True, id="windows, and spans in a subquery"),
        pytest.param("SELECT 1 FROM run_windows, otel_traces WHERE 1", True, id="windows, and spans beside them"),
        pytest.param("SELECT 1 FROM run_windows AS w, otel_traces", True, id="windows by another name, and spans"),
        pytest.param("SELECT 1 FROM run_windows JOIN otel_traces USING (run)", True, id="windows, and spans joined"),
        pytest.param("SELECT 1 FROM run_windows WHERE run IN otel_traces", True, id="windows, and spans by IN"),
        pytest.param("SELECT 1 FROM/**/otel_traces", True, id="spans behind a comment"),
        pytest.param("SELECT 1 FROM`otel_traces`", True, id="spans in quotes"),
        pytest.param("SELECT 1 FROM {t:Identifier}", True, id="whatever a parameter names"),
        pytest.param("SHOW TABLES", True, id="another kind of statement"),
    ],
)
def test_only_what_depends_on_spans_waits_for_them(sql: str, waits: bool) -> None:
    assert _is_independent_of_spans(sql) == (not waits)


class Passes:
    """Stands in for a fold, each of which ends when it may."""

    def __init__(self) -> None:
        self.begun = 0
        self.fails = False
        self.has_begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, store: Store) -> Folded:
        self.begun += 1
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE)
        if self.fails:
            raise StoreError("refused")
        return Folded(0, ())


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    passes = Passes()
    monkeypatch.setattr(folds_module, "fold", passes)
    return passes


def readers(folds: Folds, number: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=folds.catch_up) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads


def test_one_pass_serves_all_readers_that_asked_before_it_began(store: Store, passes: Passes) -> None:
    folds = Folds(store)
    threads = readers(folds, 3)
    assert passes.has_begun.wait(PATIENCE)
    folds.note_insert()  # which that pass may have missed
    threads += readers(folds, 6)
    passes.may_end.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert passes.begun == 2
    folds.catch_up()
    assert passes.begun == 2
    folds.note_insert()
    folds.catch_up()
    assert passes.begun == 3


def test_a_pass_that_failed_is_tried_again_by_the_next_reader_and_not_by_those_who_waited(
    store: Store, passes: Passes, caplog: pytest.LogCaptureFixture
) -> None:
    folds = Folds(store)
    passes.fails = True
    threads = readers(folds, 1)
    assert passes.has_begun.wait(PATIENCE)
    threads += readers(folds, 1)
    passes.may_end.set()
    for thread in threads:
        thread.join(PATIENCE)
    begun = passes.begun  # 2 where the second reader came only after that
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "spans without a run id are not in their runs yet: refused"
    ] * begun
    passes.fails = False
    folds.catch_up()
    folds.catch_up()
    assert passes.begun == begun + 1


@pytest.fixture
def collector(store: Store) -> Iterator[Collector]:
    with Collector(grpc=FREE_PORT, clickhouse=FREE_PORT, access=Access(password="")) as collector:
        collector.start(store)
        yield collector


def test_playback_exec_begin_and_end_fold_nothing_and_what_they_said_is_in_the_next_answer(
    store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def counted(store: Store) -> Folded:
        begun.append(store)
        return fold(store)

    monkeypatch.setattr(folds_module, "fold", counted)
    dsn = f"clickhouse://{collector.endpoints['ClickHouse HTTP']}/{store.database}"
    insert_spans(store, TracedSpan(run="", functions=["shop:f@1"], lines=["shop.py:1-2"]))
    for words in (
        ["exec", "search", "--", "true"],
        ["begin", "checkout", "--run-id", "night", "--at", "2025-12-31T23:59:50Z"],
        ["end", "checkout", "--run-id", "night", "--at", "2026-01-01T00:00:10Z", "--outcome", "passed"],
    ):
        command = [sys.executable, "-m", "otel_coverage", "playback", words[0], "--store", dsn, *words[1:]]
        subprocess.run(command, check=True, timeout=PATIENCE)
    assert begun == []
    with open_store(dsn, read_only=True) as asking:
        for _ in range(2):
            found = asking.query("SELECT profile, run, evidence, outcome FROM profile_runs").rows
            assert found == [("checkout", "night", "window", "passed")]
    assert len(begun) == 1
