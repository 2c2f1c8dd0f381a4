"""Backfills: tables that others created and filled before the schema was applied, or while it was detached."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from otel_coverage.errors import StoreError
from otel_coverage.store import Store, open_store, schema
from otel_coverage.store.backfill import backfill
from tests.support import traces
from tests.support.spans import TABLES, Rendering, TracedSpan, every_column, insert_spans


@pytest.fixture
def bare(empty_store_dsn: str) -> Iterator[Store]:
    """An empty database."""
    with open_store(empty_store_dsn) as store:
        yield store


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, sets in order."""
    columns = {
        "coverage_lines": "* EXCEPT ranges, lines",
        "coverage_arcs": "* EXCEPT arcs, arraySort(arcs) AS sorted",
    }
    return {
        table: store.query(f"SELECT {columns.get(table, every_column(table))} FROM {table} FINAL ORDER BY ALL").rows
        for table in TABLES
    }


def a_night(spans: int = 40) -> list[TracedSpan]:
    """Spans over some minutes and over midnight, many of them in one minute, some untraced or long past."""
    found = [
        TracedSpan(
            id=f"s{number}",
            trace=f"t{number}",
            profile=f"p{number % 3}",
            second=86_000 + (number * 97 if number < 30 else 97),
            functions=[f"shop:f@{1 + number % 7}", "shop:order.<locals>.g@9"],
            lines=[f"shop.py:{1 + number}-{3 + number}"],
            arcs=[f"shop.py:-1/{1 + number}/{3 + number}"],
        )
        for number in range(spans)
    ]
    return [*found, TracedSpan(id="early", second=-1_700_000_000, functions=["shop:early@1"])]


@pytest.mark.parametrize("rendering", ["otelcol", "rotel"])
@pytest.mark.parametrize("table", [traces.OLD, traces.NEW], ids=["old", "new"])
def test_a_backfill_finds_what_the_views_find(bare: Store, table: str, rendering: Rendering) -> None:
    bare.command(table)
    insert_spans(bare, *a_night(), rendering=rendering)
    schema.apply(bare)
    assert everything(bare)["coverage_spans"] == []
    assert backfill(bare, batch=4) == 41
    derived = everything(bare)
    for name in TABLES:
        bare.command(f"TRUNCATE TABLE {name}")
    insert_spans(bare, *a_night(), rendering=rendering)
    assert everything(bare) == derived
    assert len(derived["coverage_spans"]) == 41


def test_a_backfill_changes_nothing_when_it_runs_again(store: Store) -> None:
    insert_spans(store, *a_night())
    before = everything(store)
    for _ in range(2):
        assert backfill(store) == 41
        assert everything(store) == before


def test_a_backfill_says_how_far_it_is_and_takes_no_more_than_a_batch_at_a_time(store: Store) -> None:
    insert_spans(store, *a_night())
    calls: list[tuple[int, int]] = []
    backfill(store, batch=6, on_batch=lambda done, total: calls.append((done, total)))
    assert {total for _, total in calls} == {41}
    assert calls[0] == (0, 41)
    assert calls[-1] == (41, 41)
    steps = [later[0] - earlier[0] for earlier, later in pairwise(calls)]
    assert all(0 < step <= 6 for step in steps)


def test_a_detached_view_lets_spans_pass_and_a_backfill_catches_up(store: Store) -> None:
    spans = a_night()
    insert_spans(store, *spans[:10])
    assert schema.detach(store)
    assert not schema.detach(store)
    insert_spans(store, *spans[10:])
    assert len(everything(store)["coverage_spans"]) == 10
    assert schema.apply(store) == ["views/0001_materialized_views"]
    backfill(store)
    assert len(everything(store)["coverage_spans"]) == 41
    insert_spans(store, TracedSpan(id="after", functions=["shop:f@1"]))
    assert len(everything(store)["coverage_spans"]) == 42


def test_a_backfill_of_a_store_without_schema_says_what_to_do(bare: Store) -> None:
    with pytest.raises(StoreError, match="no schema was applied; run `otel-coverage schema apply"):
        backfill(bare)


def test_a_table_whose_attributes_are_json_is_refused_and_nothing_is_made(bare: Store) -> None:
    bare.command(traces.JSON)
    with pytest.raises(
        StoreError, match=r"otel_traces\.ResourceAttributes is JSON.*as Map \(its setting json: false\)"
    ):
        schema.apply(bare)
    assert bare.query("SELECT name FROM system.tables WHERE database = currentDatabase()").rows == [("otel_traces",)]


def test_spans_may_land_in_a_table_of_another_name_which_the_store_remembers(bare: Store) -> None:
    bare.command(traces.OLD)
    bare.command("RENAME TABLE otel_traces TO coverage_traces")
    insert_spans(bare, TracedSpan(functions=["shop:f@1"]), table="coverage_traces")
    schema.apply(bare, traces="coverage_traces")
    assert schema.apply(bare) == []
    assert backfill(bare) == 1
    insert_spans(bare, TracedSpan(id="s2", functions=["shop:g@1"]), table="coverage_traces")
    assert bare.query("SELECT symbol FROM coverage_matrix ORDER BY symbol").rows == [("shop:f@1",), ("shop:g@1",)]
