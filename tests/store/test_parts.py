"""Parts of tables: synced where the engine is ours, and told where it set some aside."""

from __future__ import annotations

import os

from otel_coverage.cli.doctor import delivery
from otel_coverage.store import Store, parts
from tests.support.spans import TracedSpan, insert_spans


def syncs(store: Store) -> tuple[int, int]:
    """How often the engine has synced files and folders since it began."""
    found = dict(
        store.query("SELECT event, value FROM system.events WHERE event IN ('FileSync', 'DirectorySync')").rows
    )
    return found.get("FileSync", 0), found.get("DirectorySync", 0)


def test_an_insert_and_a_merge_return_after_their_parts_are_synced(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"], lines=["shop.py:1-3"]))
    before = syncs(store)
    insert_spans(store, TracedSpan(id="s2", functions=["shop:g@1"], lines=["shop.py:1-3"]))
    assert syncs(store) == before  # the engine's own default
    parts.sync_parts(store)
    insert_spans(store, TracedSpan(id="s3", functions=["shop:h@1"], lines=["shop.py:1-3"]))
    files, folders = syncs(store)
    inserted_into = 7  # otel_traces, and the tables that views fill from one span with functions and lines
    assert files - before[0] >= 2 * inserted_into
    assert folders - before[1] >= inserted_into
    for table in ("otel_traces", "coverage_spans", "coverage_functions"):
        before = syncs(store)
        store.command(f"OPTIMIZE TABLE {table} FINAL")
        assert syncs(store) > before, table


def test_the_settings_are_written_once(store: Store) -> None:
    parts.sync_parts(store)
    modified = "SELECT max(metadata_modification_time) FROM system.tables WHERE database = currentDatabase()"
    before = store.query(modified).rows
    parts.sync_parts(store)
    assert store.query(modified).rows == before


def test_a_part_that_the_engine_set_aside_is_named(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    assert parts.detached_parts(store) == []
    (name, folder) = store.query(
        "SELECT name, path FROM system.parts WHERE database = currentDatabase() AND table = 'coverage_spans' AND active"
    ).rows[0]
    store.command(f"ALTER TABLE coverage_spans DETACH PART '{name}'")
    assert parts.detached_parts(store) == []  # somebody asked for that
    store.command("DETACH TABLE coverage_spans SYNC")
    detached = folder.rstrip("/").rpartition("/")[0] + "/detached"
    os.rename(f"{detached}/{name}", f"{detached}/broken-on-start_{name}")
    store.command("ATTACH TABLE coverage_spans")
    (part,) = parts.detached_parts(store)
    assert (part.table, part.reason) == ("coverage_spans", "broken-on-start")
    assert list(delivery.store(str(store.dsn)))[1:] == [f"problem: {part}"]
    assert str(part).startswith(f"coverage_spans: the engine set broken-on-start_{name} aside (broken-on-start)")
