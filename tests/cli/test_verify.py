"""``otel-coverage verify``: whether all of a run arrived."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting import verification
from otel_coverage.reporting.verification import verify
from otel_coverage.store import Store
from otel_coverage.store.parts import detached_parts
from tests.store.test_views import a_playback
from tests.support.spans import TracedSpan, insert_spans

WHOLE = a_playback(run="night-1")


def call(dsn: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["verify", "--store", dsn, *arguments])


def missing(done: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)["missing"]
    return found


def test_a_run_that_arrived_is_a_line_and_exit_code_0(store: Store, store_dsn: str) -> None:
    insert_spans(store, *WHOLE)
    done = call(store_dsn, "--run", "night-1", "--format", "table")
    assert (done.exit_code, done.stdout) == (
        0,
        "run night-1: all of it arrived: 1 profile, 1 request, 1 job, 0 commands\n",
    )


def test_what_is_missing_has_a_reason_and_where_it_was_last_seen(store: Store, store_dsn: str) -> None:
    insert_spans(store, *WHOLE[:-1], *a_playback("other", run="night-2", trace="t2"))
    done = call(store_dsn, "--run", "night-1")
    assert done.exit_code == 1, done.output
    (found,) = missing(done)
    assert found.pop("detail").startswith("no span of the job arrived: shop.mail; usually no worker has taken it")
    assert found == {
        "profile": "checkout",
        "kind": "job",
        "name": "shop.mail",
        "reason": "no_consumer_span",
        "service": "web",
        "process": "",
        "last_seen": "2026-01-01T00:00:00Z",
        "trace": "t1",
        "revision": "abc",
    }
    assert call(store_dsn, "--run", "night-2").exit_code == 0


def test_people_read_a_table(store: Store, store_dsn: str) -> None:
    insert_spans(store, *WHOLE[:-1])
    done = call(store_dsn, "--run", "night-1", "--format", "table")
    assert done.exit_code == 1
    assert done.stdout.split()[:6] == ["profile", "what", "name", "reason", "why", "last"]
    assert "no_consumer_span" in done.stdout
    assert done.stderr.endswith("1 finding above; what arrived: 1 profile, 1 request, 0 jobs, 0 commands\n")


def test_a_run_of_which_nothing_arrived_is_missing_as_a_whole(store: Store, store_dsn: str) -> None:
    insert_spans(store, *WHOLE, *a_playback(run="night-2", trace="t2")[:2])
    (found,) = missing(call(store_dsn, "--run", "night-2"))
    assert (found["kind"], found["name"], found["reason"]) == ("request", "POST /orders", "no_server_span")


def test_an_unknown_run_is_an_error_with_names_like_it(store: Store, store_dsn: str) -> None:
    insert_spans(store, *WHOLE)
    done = call(store_dsn, "--run", "night-11")
    assert done.exit_code != 0
    assert isinstance(done.exception, ConfigurationError)
    assert "no run 'night-11'; did you mean night-1?" in str(done.exception)


def test_it_waits_for_what_is_late(store: Store) -> None:
    def late() -> None:
        time.sleep(0.5)
        insert_spans(store, *WHOLE)

    thread = threading.Thread(target=late)
    thread.start()
    found = verify(store, "night-1", wait=60.0)
    thread.join()
    assert found.complete


def test_it_does_not_wait_for_what_nothing_can_mend(
    store: Store, store_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError(f"it waits {seconds} s")

    *others, job = WHOLE
    insert_spans(store, *others, job.but(revision="old"))
    monkeypatch.setattr(verification, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    assert {found.reason for found in verify(store, "night-1", wait=3600.0).findings} == {"several_revisions"}
    done = call(store_dsn, "--run", "night-1", "--wait", "3600", "--format", "table")
    assert (done.exit_code, done.stdout.count("several_revisions")) == (1, 1)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("coverage_spans", "spans_not_read"),
        ("coverage_functions", "functions_not_read"),
        ("coverage_by_symbol", "functions_not_read"),
        ("coverage_lines", "lines_not_read"),
        ("coverage_entry_points", "functions_not_read"),
    ],
)
def test_what_a_view_failed_to_write_is_found_in_the_spans(
    store: Store, store_dsn: str, table: str, reason: str
) -> None:
    spans = a_playback(run="night-1", trace="t2")
    insert_spans(store, *WHOLE)
    store.command(f"DROP VIEW {table}_mv")
    insert_spans(store, spans[2].but(id="late", functions=["shop:late@30"], lines=["shop.py:30-31"], parent=""))
    found = {(each["name"], each["reason"]) for each in missing(call(store_dsn, "--run", "night-1"))}
    assert (table, reason) in found


def test_parts_that_the_engine_set_aside_are_found(store: Store, store_dsn: str) -> None:
    insert_spans(store, *WHOLE)
    assert list(detached_parts(store)) == []
    store.command("ALTER TABLE coverage_lines DETACH PARTITION ID 'all'")
    for (path,) in store.query("SELECT path FROM system.detached_parts WHERE database = currentDatabase()").rows:
        part = Path(path)
        part.rename(part.with_name(f"broken-on-start_{part.name}"))
    found = [each for each in missing(call(store_dsn, "--run", "night-1")) if each["kind"] == "store"]
    assert {each["reason"] for each in found} == {"detached_part", "lines_not_read"}
    store.command("ALTER TABLE coverage_lines DROP DETACHED PARTITION ALL SETTINGS allow_drop_detached = 1")


@pytest.mark.parametrize("table", ["coverage_spans", "coverage_functions", "coverage_by_symbol", "coverage_lines"])
def test_bytes_that_changed_on_the_disk_make_a_run_incomplete(store: Store, store_dsn: str, table: str) -> None:
    insert_spans(store, *WHOLE)
    (path,) = store.query(
        f"SELECT path FROM system.parts WHERE active AND database = currentDatabase() AND table = '{table}'"
    ).rows[0]
    file = max(Path(path).glob("*.bin"), key=lambda file: file.stat().st_size)
    kept = file.read_bytes()
    file.write_bytes(bytes(byte ^ 0xFF for byte in kept))
    try:
        done = call(store_dsn, "--run", "night-1")
        assert done.exit_code != 0
        if done.stdout:  # there is none where what cannot be read is the run itself
            assert "unreadable" in {each["reason"] for each in missing(done)}
    finally:
        file.write_bytes(kept)


def test_a_batch_that_the_collector_did_not_find_whole_makes_its_runs_incomplete(store: Store, store_dsn: str) -> None:
    insert_spans(store, *WHOLE)
    columns = ["kind", "batch", "whole", "spans", "keys", "detail"]
    store.insert("coverage_batches", columns, [["batch", "b", False, 1, [("t1", "checkout-s", 1)], ""]])
    (found,) = missing(call(store_dsn, "--run", "night-1"))
    assert (found["kind"], found["reason"]) == ("run", "not_checked")
    store.insert("coverage_batches", columns, [["batch", "b", True, 1, [("t1", "checkout-s", 1)], ""]])
    assert call(store_dsn, "--run", "night-1").exit_code == 0
    store.insert("coverage_batches", columns, [["set_aside", "s", True, 1, [("t1", "other", 1)], ""]])
    store.insert("coverage_batches", columns, [["lost", "l", True, 0, [], "record 7 is damaged"]])
    found, damaged = missing(call(store_dsn, "--run", "night-1"))
    assert (found["reason"], damaged["reason"], damaged["detail"]) == (
        "set_aside",
        "damaged_record",
        "record 7 is damaged",
    )


def test_spans_of_another_run_are_not_looked_at(store: Store, store_dsn: str) -> None:
    other = TracedSpan(run="night-2", functions=["shop:f@1"], trace="t9", id="o")
    insert_spans(store, *WHOLE, other)
    store.command("ALTER TABLE coverage_functions DELETE WHERE run = 'night-2' SETTINGS mutations_sync = 2")
    assert call(store_dsn, "--run", "night-1").exit_code == 0
    assert call(store_dsn, "--run", "night-2").exit_code == 1


@pytest.mark.parametrize("output", ["github", "markdown"])
def test_what_is_missing_can_be_an_annotation_or_part_of_a_summary(store: Store, store_dsn: str, output: str) -> None:
    insert_spans(store, *WHOLE[:-1])
    done = call(store_dsn, "--run", "night-1", "--format", output)
    assert done.exit_code == 1
    assert "no_consumer_span" in done.stdout.replace("\\", "")
    first = done.stdout.splitlines()[0]
    assert first.startswith(
        {"github": "::error title=Gate::run night-1: incomplete: 1 finding;", "markdown": "| check |"}[output]
    )
