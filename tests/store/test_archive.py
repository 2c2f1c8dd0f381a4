"""``otel-coverage store export`` and ``import``: the stores of CI jobs, put together by a later one."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from otel_coverage.cli.store import command
from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.store import Store, archive, batches, open_store, schema, windows
from otel_coverage.store.folding import fold
from tests.store.test_any_order import ANSWERS, ASKS, ENQUEUES, LAST_PART, PERFORMS, PLAYBACK
from tests.support.spans import START, TracedSpan, array, every_column, insert_catalog, insert_spans

OTHER = {"profile": "browse", "run": "r2"}
WEB = (PLAYBACK, ASKS, ANSWERS, ENQUEUES)
WORKER = (PERFORMS, LAST_PART.but(arcs=["shop.py:-30/30/-30"]))
HEADER_ONLY = TracedSpan(id="h1", trace="t9", run="", profile="nightly", functions=["shop:order@1"])
STARTUP = TracedSpan(id="u0", trace="t8", profile="_startup", run="", role="startup", functions=["shop:g@5"])
ONE_ROUTE = array(['["request","GET","/never","never",""]'], "otelcol")
ROUTES = STARTUP.but(id="u1", trace="t7", role="routes", functions=None, attributes={"coverage.routes": ONE_ROUTE})

VIEWS = (
    "coverage_matrix",
    "symbol_profiles",
    "coverage_gaps",
    "module_gaps",
    "profile_leaderboard",
    "module_leaderboard",
    "profile_overlap",
    "profile_unique",
    "run_completeness",
    "profile_runs",
    "entry_points",
    "symbol_entry_points",
    "entry_point_gaps",
)


@pytest.fixture
def target(empty_store_dsn: str) -> Iterator[Store]:
    """An empty store beside the one that tests fill."""
    with open_store(empty_store_dsn) as opened:
        schema.apply(opened)
        yield opened


def answers(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    return {view: sorted(store.query(f"SELECT {every_column(view)} FROM {view}").rows, key=repr) for view in VIEWS}


def played_with_everything(store: Store) -> None:
    """A run with jobs, one that has only the header, one that is incomplete, a catalog, and what runs at start."""
    insert_catalog(store, {"qualname": "order", "line": 1}, {"qualname": "never", "line": 90})
    insert_spans(store, *WEB, *WORKER, STARTUP, ROUTES, ANSWERS.but(id="a2", trace="t2", parent="gone", **OTHER))
    windows.say(store, "nightly", "n1", "begin", datetime.fromtimestamp(START - 1, timezone.utc))
    insert_spans(store, HEADER_ONLY)
    fold(store)


def test_a_store_that_was_exported_and_imported_answers_as_the_first_did(
    store: Store, target: Store, tmp_path: Path
) -> None:
    played_with_everything(store)
    manifest = archive.export(store, tmp_path / "night.store")
    archive.insert(target, tmp_path / "night.store")
    expected = answers(store)
    assert answers(target) == expected
    assert manifest.profiles == ["browse", "checkout", "nightly"]
    assert manifest.revisions == ["abc"]
    assert [view for view in VIEWS if not expected[view]] == []


def test_the_files_of_two_jobs_make_one_store_in_either_order_and_however_often_each_is_imported(
    store: Store, target: Store, tmp_path: Path
) -> None:
    insert_spans(store, *WEB)
    archive.export(store, tmp_path / "web.store")
    for table in archive.tables():
        store.command(f"TRUNCATE TABLE {table}")
    insert_spans(store, *WORKER)
    archive.export(store, tmp_path / "worker.store")
    insert_spans(store, *WEB)
    for name in ("worker", "web", "worker"):
        archive.insert(target, tmp_path / f"{name}.store")
    assert answers(target) == answers(store)


def test_what_an_interrupted_import_has_inserted_is_incomplete_until_it_is_imported_again(
    store: Store, target: Store, tmp_path: Path
) -> None:
    insert_spans(store, *WEB, *WORKER)
    archive.export(store, tmp_path / "night.store")
    for stopped in (archive.steps()[2], archive.steps()[-1]):

        def progress(step: str, stopped: str = stopped) -> None:
            if step == stopped:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            archive.insert(target, tmp_path / "night.store", progress)
        found = target.query("SELECT DISTINCT incomplete_reason FROM unchecked_runs").rows
        assert found == [("not_imported",)], stopped
        assert not any(target.query("SELECT complete FROM profile_runs").rows[0]), stopped
    archive.insert(target, tmp_path / "night.store")
    assert answers(target) == answers(store)


def test_a_batch_that_became_whole_while_the_store_was_exported_is_not_whole_in_the_file(
    store: Store, target: Store, tmp_path: Path
) -> None:
    def batch(name: str) -> batches.Batch:
        return batches.Batch(name, 1, 1, [("t1", "answers", 0)], 0, 2**63 - 1, ["checkout"], ["r1"])

    insert_spans(store, *WEB, *WORKER)
    for name in ("before", "meanwhile"):
        batches.begin(store, batch(name))
    batches.finish(store, batch("before"))
    store.command("SELECT sleep(0.01)")  # times have milliseconds

    def progress(table: str) -> None:
        if table == "coverage_spans":
            batches.finish(store, batch("meanwhile"))

    archive.export(store, tmp_path / "night.store", progress)
    archive.insert(target, tmp_path / "night.store")
    found = dict(target.query("SELECT batch, whole FROM coverage_batches FINAL WHERE kind = 'batch'").rows)
    assert found == {"before": True, "meanwhile": False}


def test_the_commands_say_what_a_file_holds_and_only_its_owner_may_read_it(
    store: Store, store_dsn: str, empty_store_dsn: str, tmp_path: Path
) -> None:
    insert_spans(store, *WEB, *WORKER)
    file = tmp_path / "night.store"
    file.write_text("an older one")
    exported = CliRunner().invoke(command, ["export", str(file), "--store", store_dsn], catch_exceptions=False)
    assert exported.output.startswith(f"{file}: 1 profile, 1 run, 1 revision, 0.0 MB")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["night.store"]
    imported = CliRunner().invoke(command, ["import", str(file), str(file), "--store", empty_store_dsn])
    assert imported.output.splitlines() == [f"{file}: 1 profile, 1 run, 1 revision"] * 2
    with open_store(empty_store_dsn) as opened:
        assert answers(opened) == answers(store)


def rewritten(source: Path, target: Path, **entries: bytes | None) -> Path:
    """A copy of an archive with other entries, or without some."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as changed:
        for name in archive.namelist():
            if (content := entries.pop(name.partition(".")[0], archive.read(name))) is not None:
                changed.writestr(name, content)
        for name, content in entries.items():
            changed.writestr(name, content or b"")
    return target


def test_a_file_that_is_not_whole_or_another_versions_is_refused_before_anything_is_inserted(
    store: Store, empty_store_dsn: str, tmp_path: Path
) -> None:
    insert_spans(store, *WEB, *WORKER)
    good = tmp_path / "good.store"
    archive.export(store, good)
    content = good.read_bytes()
    manifest = json.loads(zipfile.ZipFile(good).read("manifest.json"))

    def written(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    with zipfile.ZipFile(good) as zipped:
        entry = zipped.getinfo("coverage_functions.native")
    damaged = bytearray(content)
    damaged[entry.header_offset + 60 + len(entry.filename)] ^= 0xFF
    bad = {
        written("text.store", b"no archive"): "not an export of a store",
        written("cut.store", content[: len(content) // 2]): "not an export of a store",
        written("damaged.store", bytes(damaged)): "damaged",
        rewritten(good, tmp_path / "lacks.store", coverage_lines=None): "coverage_lines.native",
        rewritten(good, tmp_path / "more.store", **{"../../etc/cron.d/x": b"*"}): r"\.\./\.\./etc/cron\.d/x",
        rewritten(good, tmp_path / "list.store", manifest=b"[]"): "not an export of a store",
        rewritten(
            good, tmp_path / "old.store", manifest=json.dumps({**manifest, "schema": {}}).encode()
        ): "another version of otel-coverage wrote it",
    }
    for path, said in bad.items():
        with pytest.raises(ConfigurationError, match=said):
            archive.check(path)
        done = CliRunner().invoke(command, ["import", str(good), str(path), "--store", empty_store_dsn])
        assert isinstance(done.exception, ConfigurationError)
    done = CliRunner().invoke(command, ["import", str(good), "--max-size", "1k", "--store", empty_store_dsn])
    assert "unpacked, expected at most" in str(done.exception)
    with open_store(empty_store_dsn) as opened, pytest.raises(StoreError, match="no schema was applied"):
        archive.export(opened, tmp_path / "empty.store")
    assert not (tmp_path / "empty.store").exists()


def test_a_file_that_cannot_be_written_is_an_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"night\.store: cannot be written: No such file or directory"):
        archive.export(store, tmp_path / "gone" / "night.store")
