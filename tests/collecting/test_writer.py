from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otel_coverage.collecting.writer import BatchWriter, WriterClosedError, WriterFullError

LONG = 3600.0  # seconds; no test waits that long
PATIENCE = 30.0


class Table:
    """Takes batches while ``open`` is set; raises ``error`` if there is one."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None

    def insert(self, rows: list[int]) -> None:
        self.entered.release()
        assert self.open.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        self.batches.append(rows)


@contextmanager
def writing(table: Table, **limits: float) -> Iterator[BatchWriter[int]]:
    writer: BatchWriter[int] = BatchWriter(table.insert, **limits)  # type: ignore[arg-type]
    try:
        if limits.get("interval") == LONG:  # the first request is written at once; this is it
            writer.write([0], 1).result(PATIENCE)
            table.entered.acquire()
            table.batches.clear()
        yield writer
    finally:
        table.open.set()
        writer.close()


def test_concurrent_requests_share_a_batch_and_each_gets_the_outcome() -> None:
    table = Table()
    with writing(table, interval=LONG, max_rows=3) as writer:
        first = writer.write([1], 10)
        assert not first.done()
        second = writer.write([2, 3], 10)
        assert first.result(PATIENCE) is second.result(PATIENCE) is None
    assert table.batches == [[1, 2, 3]]


def test_a_single_request_is_written_at_once_and_the_next_after_the_interval() -> None:
    table = Table()
    with writing(table, interval=0.01) as writer:
        writer.write([1], 10).result(PATIENCE)
        writer.write([2], 10).result(PATIENCE)
        assert table.batches == [[1], [2]]
    alone: BatchWriter[int] = BatchWriter(table.insert, interval=LONG)
    alone.write([3], 10).result(PATIENCE)
    alone.close()
    assert table.batches == [[1], [2], [3]]


def test_bytes_fill_a_batch_as_rows_do() -> None:
    table = Table()
    with writing(table, interval=LONG, max_bytes=100) as writer:
        futures = [writer.write([1], 60), writer.write([2], 60)]
        futures[0].result(PATIENCE)
        assert table.batches == [[1]]
    assert table.batches == [[1], [2]]


def test_a_request_larger_than_a_batch_is_a_batch_of_its_own() -> None:
    table = Table()
    with writing(table, interval=LONG, max_rows=2) as writer:
        writer.write([1, 2, 3, 4], 10).result(PATIENCE)
    assert table.batches == [[1, 2, 3, 4]]


def test_a_request_is_acknowledged_only_after_its_rows_are_stored() -> None:
    table = Table()
    table.open.clear()
    with writing(table, interval=0) as writer:
        future = writer.write([1], 10)
        assert table.entered.acquire(timeout=PATIENCE)
        assert not future.done()
        table.open.set()
        assert future.result(PATIENCE) is None


def test_a_failed_insert_fails_the_requests_of_its_batch_and_no_other() -> None:
    table = Table()
    with writing(table, interval=LONG, max_rows=2) as writer:
        table.error = RuntimeError("disk full")
        failed = [writer.write([1], 10), writer.write([2], 10)]
        assert [str(future.exception(PATIENCE)) for future in failed] == ["disk full", "disk full"]
        table.error = None
        assert writer.write([3, 4], 10).result(PATIENCE) is None
    assert table.batches == [[3, 4]]


def test_the_queue_is_bounded_and_rows_count_until_they_are_stored() -> None:
    table = Table()
    table.open.clear()
    with writing(table, interval=0, max_queued_bytes=100) as writer:
        first = writer.write([1], 80)
        assert table.entered.acquire(timeout=PATIENCE)
        with pytest.raises(WriterFullError, match=r"the write queue is full \(80 bytes\); retry later"):
            writer.write([2], 30)
        second = writer.write([2], 20)
        table.open.set()
        first.result(PATIENCE)
        second.result(PATIENCE)
        writer.write([3], 100).result(PATIENCE)
    assert table.batches == [[1], [2], [3]]


def test_a_request_larger_than_the_queue_is_accepted_while_the_queue_is_empty() -> None:
    table = Table()
    with writing(table, interval=0, max_queued_bytes=100) as writer:
        writer.write([1], 1000).result(PATIENCE)
    assert table.batches == [[1]]


def test_close_writes_what_is_queued_and_refuses_more() -> None:
    table = Table()
    with writing(table, interval=LONG) as writer:
        future = writer.write([1], 10)
        writer.close()
        assert future.result(0) is None
        with pytest.raises(WriterClosedError, match="the collector is stopping"):
            writer.write([2], 10)
        writer.close()
    assert table.batches == [[1]]


def test_many_threads_write_each_row_once() -> None:
    table = Table()
    with writing(table, interval=0.001, max_rows=7) as writer:

        def write(start: int) -> None:
            for number in range(start, start + 50):
                writer.write([number], 1).result(PATIENCE)

        threads = [threading.Thread(target=write, args=(start,)) for start in range(0, 400, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(row for batch in table.batches for row in batch) == list(range(400))
    assert max(len(batch) for batch in table.batches) <= 7
