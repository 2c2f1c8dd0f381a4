from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_coverage.errors import StoreError, UnreachableError
from otel_coverage.store import Store, open_store
from tests.support.commands import PATIENCE, wait_until
from tests.support.ports import free_port

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
AWKWARD = [
    "",
    "it's",
    'say "x"',
    "a\nb\tc\\n",
    "\\",
    "%s {x:String}",
    "😀",
    "'; DROP TABLE code_symbols; --",
    "\0",
    "NULL",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_parameter_is_data_whatever_is_in_it(store: Store, text: str) -> None:
    assert store.query("SELECT {text:String} AS text", {"text": text}).rows == [(text,)]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, max_size=4))
def test_a_list_is_bound_item_by_item(store: Store, texts: list[str]) -> None:
    assert store.query("SELECT {texts:Array(String)} AS texts", {"texts": texts}).rows == [(texts,)]


def test_a_result_is_columns_and_rows_and_records(store: Store) -> None:
    result = store.query("SELECT number AS n, number * 2 AS twice FROM numbers(2)")
    assert (result.columns, result.rows, len(result)) == (("n", "twice"), [(0, 0), (1, 2)], 2)
    assert result.records() == [{"n": 0, "twice": 0}, {"n": 1, "twice": 2}]


def test_times_are_aware_and_in_utc(store: Store) -> None:
    rows = store.query("SELECT toDateTime64('2026-01-02 03:04:05', 9, 'UTC')").rows
    assert rows == [(datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),)]


def test_inserting_nothing_is_nothing(store: Store) -> None:
    store.insert("no_such_table", ["x"], [])


def test_an_error_of_the_engine_becomes_one_line_that_names_the_store(store: Store) -> None:
    with pytest.raises(StoreError) as raised:
        store.query("SELECT no_such_column FROM coverage_matrix")
    assert str(store.dsn) in str(raised.value)
    assert "no_such_column" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_table_hints_at_the_schema(empty_store_dsn: str) -> None:
    with open_store(empty_store_dsn) as store, pytest.raises(StoreError, match="otel-coverage schema apply"):
        store.query("SELECT * FROM coverage_matrix")


def test_a_value_that_does_not_fit_its_column_is_a_store_error(store: Store) -> None:
    with pytest.raises(StoreError):
        store.insert("code_symbols", ["line"], [["not a number"]])


def test_several_threads_may_ask_at_once(store: Store) -> None:
    answers: list[int] = []

    def ask(number: int) -> None:
        answers.extend(store.query("SELECT {n:UInt32}", {"n": number}).rows[0][0] for _ in range(20))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted([0, 1, 2, 3] * 20)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE code_symbols",
        "DROP TABLE code_symbols; SELECT 1",
        "SET readonly = 0",
        "INSERT INTO code_symbols (line) VALUES (1)",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
def test_a_reader_cannot_change_anything(store: Store, store_dsn: str, sql: str) -> None:
    with open_store(store_dsn, read_only=True) as reader, pytest.raises(StoreError, match="readonly"):
        reader.query(sql)
    assert store.query("SELECT count() FROM code_symbols").rows == [(0,)]


def test_looking_for_a_store_does_not_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store; `otel-coverage schema apply"):
        open_store(f"chdb://{tmp_path}/typo")
    assert list(tmp_path.iterdir()) == []


def test_looking_for_a_database_does_not_make_one(store_folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(StoreError, match="the database 'nonesuch' does not exist"):
            open_store(f"chdb://{store_folder}?database=nonesuch")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="the folder cannot be created: Not a directory"):
        open_store(f"chdb://{tmp_path}/file/store", create=True)


def test_a_server_that_does_not_answer_is_unreachable() -> None:
    port = free_port()
    with pytest.raises(UnreachableError) as raised:
        open_store(f"clickhouse://ann:secret@127.0.0.1:{port}/otel")
    assert f"clickhouse://ann@127.0.0.1:{port}/otel: no answer" in str(raised.value)


HOLDING = """
import sys, time
from otel_coverage.store import open_store
store = open_store(sys.argv[1], create=True)
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def owner(dsn: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", HOLDING, dsn], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_an_engine_that_has_no_library_for_this_python_is_refused_before_it_ends_the_process(tmp_path: Path) -> None:
    engine = tmp_path / "chdb"
    engine.mkdir()
    (engine / "__init__.py").write_text("raise SystemExit('the engine was loaded')")
    (engine / "libpybind11nonlimitedapi_chdb_3.9.so").touch()
    refused = opening(f"chdb://{tmp_path}/store", PYTHONPATH=str(tmp_path))
    assert refused.returncode == 2
    assert f"cannot run in CPython {sys.version_info.major}.{sys.version_info.minor}; use an older" in refused.stderr
    assert refused.stderr.count("\n") == 1


def opening(dsn: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Query the store from a third process: an engine can have one folder open."""
    return subprocess.run(
        [sys.executable, "-m", "otel_coverage", "query", "--sql", "SELECT 1 AS one", "--store", dsn],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_store_that_another_process_has_open_names_that_process(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    with owner(dsn) as process:
        refused = opening(dsn)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert f"otel-coverage: {dsn}: held by process {process.pid} ({sys.executable} -c" in refused.stderr
    assert refused.stderr.count("\n") == 1


TAKING_TURNS = """
import sys
from otel_coverage.store import open_store
with open_store(sys.argv[1], create=True, keep_turn=True) as store:
    print("open", flush=True)
    sys.stdin.read()
    print(store.query("SELECT 2").rows[0][0], flush=True)
"""


def test_a_store_that_another_process_has_in_its_turn_is_waited_for(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    command = [sys.executable, "-c", TAKING_TURNS, dsn]
    query = [sys.executable, "-m", "otel_coverage", "query", "--sql", "SELECT 1 AS one", "--store", dsn]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"
        with subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as second:
            wait_until(lambda: second.poll() is not None or waits_for_its_turn(second.pid))
            assert first.communicate(timeout=PATIENCE)[0] == "2\n"
            answer, said = second.communicate(timeout=PATIENCE)
    assert (second.returncode, said) == (0, "")
    assert json.loads(answer) == [{"one": 1}]


def test_whoever_waits_at_a_terminal_sees_which_process_has_the_store_open(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    query = [sys.executable, "-m", "otel_coverage", "query", "--sql", "SELECT 1 AS one", "--store", dsn]
    terminal, seen_by_command = pty.openpty()
    with (
        subprocess.Popen(
            [sys.executable, "-c", TAKING_TURNS, dsn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as first,
        os.fdopen(terminal, errors="replace") as shown,
    ):
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"
        with subprocess.Popen(query, stdout=subprocess.DEVNULL, stderr=seen_by_command) as second:
            os.close(seen_by_command)
            assert re.match(rf"{dsn}: waiting for process {first.pid} \(.*\), which has it open\n", shown.readline())
            first.communicate(timeout=PATIENCE)
            assert second.wait(PATIENCE) == 0


def waits_for_its_turn(pid: int) -> bool:
    """Whether a process has the file open whose lock it is to get."""
    with suppress(OSError):  # one that has ended
        return any(
            os.path.basename(os.readlink(file)) == "otel-coverage-opening" for file in Path(f"/proc/{pid}/fd").iterdir()
        )
    return False


def test_one_process_opens_a_store_twice_in_its_turn(store_dsn: str) -> None:
    with open_store(store_dsn, keep_turn=True), open_store(store_dsn, keep_turn=True) as again:
        assert again.query("SELECT 1").rows == [(1,)]


def test_a_store_whose_owner_was_killed_is_free(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    with owner(dsn) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (tmp_path / "store" / "status").exists()
        answered = opening(dsn)
    assert (answered.returncode, answered.stdout) == (0, '[\n{"one": 1}\n]\n')
