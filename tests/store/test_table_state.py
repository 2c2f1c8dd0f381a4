"""What says, cheaply, whether the tables that reports read have changed."""

from __future__ import annotations

from otel_coverage.store import Store
from otel_coverage.store.table_state import table_state
from tests.support.spans import TracedSpan, insert_spans


def test_it_is_another_one_after_inserts_and_deletions_and_the_same_after_merges_and_plain_spans(store: Store) -> None:
    span = TracedSpan(functions=["shop:f@1"])
    seen = [table_state(store)]
    for second in (1, 2):
        insert_spans(store, span.but(id=f"s{second}", second=second))
        seen.append(table_state(store))
    assert len(set(seen)) == 3
    store.command("OPTIMIZE TABLE coverage_functions FINAL")
    store.command("INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName) VALUES (now64(9), 't', 's', 'plain')")
    assert table_state(store) == seen[-1]
    store.command("DELETE FROM coverage_functions WHERE qualname = 'f' SETTINGS lightweight_deletes_sync = 2")
    deleted = table_state(store)
    assert deleted not in seen
    store.command("OPTIMIZE TABLE coverage_functions FINAL")
    assert table_state(store) == deleted
