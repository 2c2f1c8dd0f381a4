"""``matrix.csv`` and ``matrix.parquet``, and how lists of numbers are written."""

from __future__ import annotations

import csv
import json
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otel_coverage.reporting import matrix
from otel_coverage.reporting.arrow import steps_as_json
from otel_coverage.reporting.artifacts import ARTIFACTS
from otel_coverage.reporting.queries import RevisionQueries, select_revision
from otel_coverage.reporting.times import timestamp
from otel_coverage.store import Store
from tests.support.spans import TracedSpan, insert_spans

_REQUEST = TracedSpan(functions=["orders:place@4", "orders:Order.total@9"])
_SPANS = (
    _REQUEST.but(id="s1", trace="t2", second=5),
    # executed again: in another service, in another run, and in one that failed and does not count
    _REQUEST.but(id="s2", trace="t1", second=9, service="api", functions=["orders:place@4"]),
    _REQUEST.but(id="s3", trace="t3", second=2, run="r2"),
    _REQUEST.but(id="s4", trace="t0", second=1, run="r3", functions=["orders:place@4", "orders:refund@20"]),
    TracedSpan(id="p4", trace="t0", second=1, run="r3", role="", service="playback", outcome="failed"),
    _REQUEST.but(id="s5", trace="t5", second=3, profile="browse", functions=["app:index@1", "orders:place@4"]),
)


@pytest.mark.parametrize("pairs", [1, 200_000])  # that are read at a time
@pytest.mark.parametrize("services", [(), ("web",)])
def test_the_files_have_the_rows_of_the_view(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: tuple[str, ...], pairs: int
) -> None:
    monkeypatch.setattr(matrix, "_PAIRS", pairs)
    for span in _SPANS:  # each in a part of its own, which nothing has merged yet
        insert_spans(store, span)
    queries = select_revision(store, services=services)
    ARTIFACTS["matrix"](queries, tmp_path)
    expected = queries.ask("matrix").records()
    assert len(expected) == 4
    assert {"t1", "t2"} & {row["exemplar_trace_id"] for row in expected} == ({"t2"} if services else {"t1", "t2"})
    assert pq.read_table(tmp_path / "matrix.parquet").to_pylist() == expected
    with (tmp_path / "matrix.csv").open(encoding="utf-8", newline="") as file:
        times = [{name: timestamp(row[name]) for name in ("first_seen", "last_seen")} for row in expected]
        rows = [{**row, **moments, "line": str(row["line"])} for row, moments in zip(expected, times, strict=True)]
        assert list(csv.DictReader(file)) == rows


def test_a_function_that_came_in_since_the_others_were_asked_for_is_left_out(store: Store, tmp_path: Path) -> None:
    insert_spans(store, _REQUEST)
    queries = select_revision(store)
    before = queries.executed.symbols
    insert_spans(store, _REQUEST.but(id="late", functions=["orders:late@30", "orders:place@4"]))
    ARTIFACTS["matrix"](queries, tmp_path)
    assert pq.read_table(tmp_path / "matrix.parquet")["symbol"].to_pylist() == before
    assert _of(queries, tmp_path) == [["orders:place@4", "orders:Order.total@9"]]


def _of(queries: RevisionQueries, folder: Path) -> list[list[str]]:
    found = json.loads((folder / "matrix.json").read_text(encoding="utf-8"))
    return [[queries.executed.symbols[number] for number in accumulate(steps)] for steps in found["matrix"]]


@pytest.mark.parametrize(
    "lists", [[], [[]], [[], [0], [], [3, 4, 9], [0, 1], []], [[7]], [[0, 65_536, 4_000_000_000], [4_000_000_000]]]
)
def test_lists_are_written_as_steps(lists: list[list[int]]) -> None:
    column = pa.array(lists, pa.list_(pa.uint32()))
    assert [list(accumulate(json.loads(text))) for text in steps_as_json(column)] == lists
    if len(lists) > 2:  # a part of a longer one
        texts = steps_as_json(column[1:])
        assert [list(accumulate(json.loads(text))) for text in texts] == lists[1:]
