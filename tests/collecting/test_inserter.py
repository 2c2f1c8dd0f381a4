"""From the log into the store: everything once, checked, and nothing silently left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_coverage.collecting.inserter import Counts
from otel_coverage.collecting.log import Log
from otel_coverage.collecting.log.segment import Segment, SegmentWriter
from otel_coverage.collecting.receiver import Receiver
from otel_coverage.errors import StoreError, UnreachableError
from otel_coverage.store import Store, batches, open_store, schema
from tests.support import traces

PATIENCE = 60.0
AT_ALL_OF_A_BATCH = 3  # attempts, before its requests are tried one by one


def a_request(*spans: Span) -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])


def a_span(name: str, *functions: str, text: str = "") -> Span:
    values = ArrayValue(values=[AnyValue(string_value=function) for function in functions])
    return Span(
        name=name,
        trace_id=name.encode().ljust(16, b"t"),
        span_id=name.encode().ljust(8, b"s"),
        start_time_unix_nano=1_767_225_600 * 10**9,
        attributes=[
            KeyValue(key="playback.profile", value=AnyValue(string_value="checkout")),
            KeyValue(key="playback.run_id", value=AnyValue(string_value="r1")),
            KeyValue(key="coverage.role", value=AnyValue(string_value="server")),
            KeyValue(key="coverage.complete", value=AnyValue(bool_value=True)),
            KeyValue(key="coverage.functions", value=AnyValue(array_value=values)),
            KeyValue(key="coverage.function_count", value=AnyValue(int_value=len(functions))),
            KeyValue(key="text", value=AnyValue(string_value=text)),
        ],
    )


@contextmanager
def receiving(store: Store, folder: Path) -> Iterator[Receiver]:
    receiver = Receiver(Log(folder, reserve_bytes=0), store)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def receiving_at_once(store: Store, folder: Path, *names: str) -> Iterator[Receiver]:
    """A receiver whose log has a request for each name, so that they are one batch."""
    writer = SegmentWriter(Segment.named(folder, 1))
    writer.append([a_request(a_span(name)).SerializeToString() for name in names])
    writer.close()
    with receiving(store, folder) as receiver:
        yield receiver


def interrupted(store: Store, folder: Path, names: str, *, are_inserted: bool = True) -> Log:
    """The log of a process that was killed while it inserted a request for each name as one batch.

    Args:
        store: gets the spans where they are inserted, without what is derived of their functions.
        folder: the log's; its first segment has the requests.
        names: of the spans, one character each.
        are_inserted: whether the process came as far as that.
    """
    writer = SegmentWriter(Segment.named(folder, 1))
    spans = [a_span(name, f"shop:{name}@1") for name in names]
    writer.append([a_request(span).SerializeToString() for span in spans])
    writer.close()
    if are_inserted:
        with receiving(store, folder / "killed") as receiver:
            accept(receiver, *spans)
        store.command("TRUNCATE TABLE coverage_batches")
        store.command("TRUNCATE TABLE coverage_functions")
    log = Log(folder, reserve_bytes=0)
    keys = [(span.trace_id.hex(), span.span_id.hex(), number) for number, span in enumerate(spans)]
    batches.begin(store, batches.Batch(f"{log.name}:1-{len(names)}", 1, len(names), keys, 0, 0, (), ()))
    return log


def damage_the_end(segment: Path) -> None:
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)


def accept(receiver: Receiver, *spans: Span) -> None:
    receiver.accept(a_request(*spans).SerializeToString(), len(spans))


def raw(store: Store) -> list[str]:
    return [name for (name,) in store.query("SELECT SpanName FROM otel_traces ORDER BY SpanName").rows]


def covered(store: Store) -> list[str]:
    return [name for (name,) in store.query("SELECT name FROM coverage_spans FINAL ORDER BY name").rows]


def functions(store: Store) -> list[str]:
    return [name for (name,) in store.query("SELECT DISTINCT qualname FROM coverage_functions ORDER BY qualname").rows]


def states(store: Store) -> list[tuple[str, bool, int]]:
    """Each batch and note: its kind, whether it is whole, and its number of spans."""
    sql = "SELECT toString(kind), whole, spans FROM coverage_batches FINAL ORDER BY kind, first"
    return [(kind, whole, spans) for kind, whole, spans in store.query(sql).rows]


class Failing:
    """Makes inserts into a table of a store fail."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._insert = store.insert
        self.table, self.error, self.is_done_before, self.times = "", StoreError("no room"), False, 0
        monkeypatch.setattr(store, "insert", self._insert_or_fail)

    def fail(self, table: str, *, times: int, error: Exception | None = None, after_the_insert: bool = False) -> None:
        self.table, self.times, self.is_done_before = table, times, after_the_insert
        self.error = error or StoreError("no room")  # type: ignore[assignment]

    def _insert_or_fail(self, table: str, columns: Any, rows: Any, settings: Any = None) -> None:
        failing = table == self.table and rows and self.times > 0
        if not failing or self.is_done_before:
            self._insert(table, columns, rows, settings)
        if failing:
            self.times -= 1
            raise self.error


@pytest.fixture
def failing(store: Store, monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(store, monkeypatch)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_coverage.collecting.inserter._FIRST_PAUSE", 0.01)


def test_a_batch_is_whole_when_all_of_it_was_found_in_the_tables(store: Store, tmp_path: Path) -> None:
    with receiving(store, tmp_path) as receiver:
        accept(receiver, a_span("a", "shop:f@1"), a_span("b", "shop:g@2"))
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(inserted=2)
    assert raw(store) == covered(store) == ["a", "b"]
    assert states(store) == [("batch", True, 2)]
    assert list(tmp_path.glob("*.log")) == []


def test_what_arrives_again_is_inserted_once_also_after_a_restart(store: Store, tmp_path: Path) -> None:
    spans = a_span("a", "shop:f@1"), a_span("b", "shop:g@2")
    with receiving(store, tmp_path) as receiver:
        for _ in range(3):
            accept(receiver, *spans)
        assert receiver.wait(PATIENCE) == 0
        accept(receiver, a_span("b", "shop:g@2"), a_span("c"))
    with receiving(store, tmp_path / "another") as receiver:
        accept(receiver, *spans)
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(repeated=2)
    assert raw(store) == covered(store) == ["a", "b", "c"]


def test_different_spans_under_one_id_are_both_kept_and_told(store: Store, tmp_path: Path) -> None:
    with receiving(store, tmp_path) as receiver:
        accept(receiver, a_span("a", "shop:f@1"))
        assert receiver.wait(PATIENCE) == 0
        accept(receiver, a_span("a", "shop:g@2"), a_span("a", "shop:g@2", "shop:h@3"))
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(inserted=3, conflicting=2)
    assert raw(store) == ["a", "a", "a"]
    assert functions(store) == ["f", "g", "h"]
    ((keys,),) = store.query("SELECT keys.trace FROM coverage_batches FINAL WHERE kind = 'conflict'").rows
    assert keys == [a_span("a").trace_id.hex()] * 2


def test_spans_without_ids_are_all_kept(store: Store, tmp_path: Path) -> None:
    with receiving(store, tmp_path) as receiver:
        accept(receiver, Span(name="a"), Span(name="a"))
        accept(receiver, Span(name="a"))
    assert raw(store) == ["a", "a", "a"]


def test_an_insert_that_fails_is_tried_again_until_it_succeeds(store: Store, tmp_path: Path, failing: Failing) -> None:
    failing.fail("otel_traces", times=2)
    with receiving(store, tmp_path) as receiver:
        accept(receiver, a_span("a", "shop:f@1"))
        assert receiver.wait(PATIENCE) == 0
    assert raw(store) == covered(store) == ["a"]
    assert states(store) == [("batch", True, 1)]


def test_an_insert_that_failed_after_it_was_done_is_not_counted_twice(
    store: Store, tmp_path: Path, failing: Failing
) -> None:
    failing.fail("otel_traces", times=1, error=UnreachableError("no answer"), after_the_insert=True)
    with receiving(store, tmp_path) as receiver:
        accept(receiver, a_span("a", "shop:f@1"), a_span("b", "shop:g@2"))
        assert receiver.wait(PATIENCE) == 0
    assert raw(store) == covered(store) == ["a", "b"]


@pytest.mark.parametrize(
    "view", ["coverage_spans_mv", "coverage_functions_mv", "coverage_intake_mv"], ids=lambda view: str(view)
)
def test_what_a_view_missed_is_found_and_derived_once_the_view_works_again(
    store: Store, tmp_path: Path, view: str
) -> None:
    ((definition,),) = store.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {view:String}",
        {"view": view},
    ).rows
    store.command(f"DROP VIEW {view} SYNC")
    with receiving(store, tmp_path) as receiver:
        accept(receiver, a_span("a", "shop:f@1"))
        receiver.drain()
        if view != "coverage_intake_mv":  # without that one, too, it can be derived
            assert (receiver.behind, states(store)) == (1, [("batch", False, 1)])
            assert "is not in coverage_functions" in receiver.error or "not in coverage_spans" in receiver.error
        store.command(definition)
        assert receiver.wait(PATIENCE) == 0
    assert raw(store) == covered(store) == ["a"]
    assert functions(store) == ["f"]
    assert states(store) == [("batch", True, 1)]


def test_after_a_kill_in_the_middle_of_a_batch_the_rest_is_inserted(store: Store, tmp_path: Path) -> None:
    spans = [a_span("a", "shop:f@1"), a_span("b", "shop:g@2")]
    with receiving(store, tmp_path / "other") as receiver:  # as far as the killed process came: one of two
        accept(receiver, spans[0])
    store.command("TRUNCATE TABLE coverage_batches")
    store.command("TRUNCATE TABLE coverage_functions")
    writer = SegmentWriter(Segment.named(tmp_path, 1))
    writer.append([a_request(*spans).SerializeToString()])
    writer.close()
    with receiving(store, tmp_path) as receiver:
        assert receiver.wait(PATIENCE) == 0
    assert raw(store) == covered(store) == ["a", "b"]
    assert functions(store) == ["f", "g"]
    assert states(store) == [("batch", True, 2)]


def test_a_batch_that_was_begun_and_whose_log_is_gone_is_completed_at_the_start(store: Store, tmp_path: Path) -> None:
    with receiving(store, tmp_path) as receiver:
        accept(receiver, a_span("a", "shop:f@1"))
    store.command("TRUNCATE TABLE coverage_batches")
    keys = [(a_span(name).trace_id.hex(), a_span(name).span_id.hex(), 7) for name in "ab"]
    for name, of_batch in (("gone:1", keys[:1]), ("gone:2", keys)):
        batches.begin(store, batches.Batch(name, 1, 1, of_batch, 0, 0, (), ()))
    store.command("TRUNCATE TABLE coverage_functions")
    with receiving(store, tmp_path):
        pass
    assert functions(store) == ["f"]
    assert states(store) == [("batch", True, 1), ("batch", False, 2)]  # b never came


def test_what_a_killed_process_began_is_whole_before_the_log_lets_go_of_its_records(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(Segment.named(tmp_path, 1))
    writer.append([a_request(a_span(name)).SerializeToString() for name in "ab"])
    writer.close()
    log = Log(tmp_path, reserve_bytes=0)
    key = (a_span("a").trace_id.hex(), a_span("a").span_id.hex(), 7)
    batches.begin(store, batches.Batch(f"{log.name}:1-1", 1, 1, [key], 0, 0, (), ()))
    inserted, unfinished = log.inserted, []

    def let_go(upto: int) -> None:
        unfinished.append([batch.name for batch in batches.unfinished(store)])
        inserted(upto)

    monkeypatch.setattr(log, "inserted", let_go)
    receiver = Receiver(log, store)
    receiver.start()
    assert receiver.wait(PATIENCE) == 0
    receiver.close()
    assert unfinished == [[]]
    assert sorted(states(store)) == [("batch", True, 1), ("batch", True, 2)]


def test_what_a_killed_process_began_is_completed_where_only_damage_is_left_in_the_log(
    store: Store, tmp_path: Path
) -> None:
    log = interrupted(store, tmp_path, "ab")
    log.release()
    segment = next(tmp_path.glob("*.log"))
    segment.write_bytes(b"damaged")
    Segment.named(tmp_path, 3).path.write_bytes(b"torn")  # its name says that two records came before
    with receiving(store, tmp_path) as receiver:
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(lost=2)
        assert sorted(states(store)) == [("batch", True, 2), ("lost", True, 0), ("torn", True, 0), ("torn", True, 0)]
    assert functions(store) == ["a", "b"]


def test_a_batch_whose_last_record_was_cut_off_the_log_is_completed_and_waits_for_no_other(
    store: Store, tmp_path: Path
) -> None:
    interrupted(store, tmp_path, "ab").release()
    damage_the_end(next(tmp_path.glob("*.log")))
    with receiving(store, tmp_path) as receiver:
        assert receiver.wait(PATIENCE) == 0
        assert batches.unfinished(store) == []
        assert functions(store) == ["a", "b"]


def test_what_a_batch_lacks_whose_record_was_cut_off_stays_marked_when_its_number_is_used_again(
    store: Store, tmp_path: Path
) -> None:
    interrupted(store, tmp_path, "ab", are_inserted=False).release()
    damage_the_end(next(tmp_path.glob("*.log")))
    for name in "cd":
        with receiving(store, tmp_path) as receiver:
            accept(receiver, a_span(name))
            assert receiver.wait(PATIENCE) == 0
    assert raw(store) == ["a", "c", "d"]
    assert {key[0] for batch in batches.unfinished(store) for key in batch.keys} == {
        a_span(name).trace_id.hex() for name in "ab"
    }


def test_accepted_requests_that_are_damaged_while_the_log_is_open_are_noted_as_lost(
    store: Store, tmp_path: Path
) -> None:
    log = Log(tmp_path, reserve_bytes=0)
    for name in "ab":
        log.append(a_request(a_span(name)).SerializeToString())
    segment = next(tmp_path.glob("*.log"))
    segment.write_bytes(bytes(segment.stat().st_size))
    receiver = Receiver(log, store)
    receiver.start()
    try:
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(lost=2)
        assert states(store) == [("lost", True, 0)]
        accept(receiver, a_span("c"))
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(inserted=1, lost=2)
    finally:
        receiver.close()
    assert raw(store) == ["c"]


def test_a_request_that_cannot_be_inserted_is_set_aside_and_told_and_the_others_go_on(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.command("ALTER TABLE otel_traces ADD CONSTRAINT theirs CHECK SpanName != 'poison'")
    with receiving(store, tmp_path) as receiver:
        for name in ("a", "poison", "b"):
            accept(receiver, a_span(name))
        assert receiver.wait(PATIENCE) == 0
        accept(receiver, a_span("c"))
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(inserted=3, set_aside=1)
    assert raw(store) == covered(store) == ["a", "b", "c"]
    ((detail,),) = store.query("SELECT detail FROM coverage_batches FINAL WHERE kind = 'set_aside'").rows
    assert detail.startswith(f"{tmp_path}/set-aside-2: ")
    assert (tmp_path / "set-aside-2").exists()
    assert any("not inserted: 1 span, kept in" in record.message for record in caplog.records)
    store.command("ALTER TABLE otel_traces DROP CONSTRAINT theirs")


def test_a_request_that_failed_while_the_store_did_not_work_is_inserted_and_not_set_aside(
    store: Store, tmp_path: Path, failing: Failing
) -> None:
    failing.fail("otel_traces", times=AT_ALL_OF_A_BATCH + 1)
    with receiving_at_once(store, tmp_path, "a", "b", "c") as receiver:
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(inserted=3)
    assert raw(store) == covered(store) == ["a", "b", "c"]


def test_a_request_is_not_set_aside_because_the_store_could_not_be_reached(
    store: Store, tmp_path: Path, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.fail("otel_traces", times=AT_ALL_OF_A_BATCH)
    begin, unanswered = batches.begin, [UnreachableError("no answer") for _ in range(2)]

    def begin_if_reached(store: Store, batch: batches.Batch) -> None:
        if (batch.first, batch.last) == (1, 1) and unanswered:
            raise unanswered.pop()
        begin(store, batch)

    monkeypatch.setattr(batches, "begin", begin_if_reached)
    with receiving_at_once(store, tmp_path, "a", "b", "c") as receiver:
        assert receiver.wait(PATIENCE) == 0
        assert receiver.counts == Counts(inserted=3)
    assert not unanswered
    assert raw(store) == covered(store) == ["a", "b", "c"]


def test_damage_of_the_log_is_told_in_the_store(store: Store, tmp_path: Path) -> None:
    writer = SegmentWriter(Segment.named(tmp_path, 1))
    writer.append([a_request(a_span(name)).SerializeToString() for name in "abc"])
    writer.close()
    data = bytearray(writer.segment.path.read_bytes())
    data[len(data) // 2] ^= 1
    writer.segment.path.write_bytes(data[:-1] + b"torn")
    with receiving(store, tmp_path) as receiver:
        assert receiver.wait(PATIENCE) == 0
    assert raw(store) == ["a"]
    assert [kind for kind, _, _ in states(store)] == ["batch", "torn"]


def test_spans_go_into_the_table_that_the_schema_reads(empty_store_dsn: str, tmp_path: Path) -> None:
    with open_store(empty_store_dsn, create=True) as store:
        store.command(traces.NEW)
        store.command("RENAME TABLE otel_traces TO coverage_traces")
        schema.apply(store, traces="coverage_traces")
        batches.begin(store, batches.Batch("interrupted", 1, 1, [("t", "s", 1)], 0, 0, [], []))
        with receiving(store, tmp_path / "log") as receiver:
            accept(receiver, a_span("a", "shop:f@1"))
            assert receiver.wait(PATIENCE) == 0
            assert receiver.error == ""
        assert store.query("SELECT count() FROM coverage_traces").rows == [(1,)]
        assert store.query("SELECT qualname FROM coverage_functions").rows == [("f",)]
        assert [batch.table for batch in batches.unfinished(store)] == ["coverage_traces"]
