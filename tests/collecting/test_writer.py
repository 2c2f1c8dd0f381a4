from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otel_coverage.collecting.writer import Writer, WriterClosedError, WriterFullError

LONG = 3600.0  # seconds: no test waits for it
PATIENCE = 30.0


class Table:
    """Takes batches when it is let, and fails when it is told."""

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
def writing(table: Table, **limits: float) -> Iterator[Writer[int]]:
    writer: Writer[int] = Writer(table.insert, **limits)  # type: ignore[arg-type]
    try:
        if limits.get("interval") == LONG:  # whoever comes first is written at once: here somebody has
            writer.write([0], 1).result(PATIENCE)
            table.entered.acquire()
            table.batches.clear()
        yield writer
    finally:
        table.open.set()
        writer.close()


def test_requests_that_come_together_are_written_together_and_each_hears_of_it() -> None:
    table = Table()
    with writing(table, interval=LONG, max_rows=3) as writer:
        first = writer.write([1], 10)
        assert not first.done()
        second = writer.write([2, 3], 10)
        assert first.result(PATIENCE) is second.result(PATIENCE) is None
    assert table.batches == [[1, 2, 3]]


def test_a_request_that_comes_alone_is_written_at_once_and_the_next_when_the_interval_is_over() -> None:
    table = Table()
    with writing(table, interval=0.01) as writer:
        writer.write([1], 10).result(PATIENCE)
        writer.write([2], 10).result(PATIENCE)
        assert table.batches == [[1], [2]]
    alone: Writer[int] = Writer(table.insert, interval=LONG)
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


def test_nobody_is_told_that_rows_are_stored_before_they_are() -> None:
    table = Table()
    table.open.clear()
    with writing(table, interval=0) as writer:
        future = writer.write([1], 10)
        assert table.entered.acquire(timeout=PATIENCE)
        assert not future.done()
        table.open.set()
        assert future.result(PATIENCE) is None


def test_an_insert_that_fails_is_told_to_those_who_were_in_it_and_to_nobody_else() -> None:
    table = Table()
    with writing(table, interval=LONG, max_rows=2) as writer:
        table.error = RuntimeError("disk full")
        failed = [writer.write([1], 10), writer.write([2], 10)]
        assert [str(future.exception(PATIENCE)) for future in failed] == ["disk full", "disk full"]
        table.error = None
        assert writer.write([3, 4], 10).result(PATIENCE) is None
    assert table.batches == [[3, 4]]


def test_what_waits_is_bounded_and_counts_until_it_is_stored() -> None:
    table = Table()
    table.open.clear()
    with writing(table, interval=0, max_waiting_bytes=100) as writer:
        first = writer.write([1], 80)
        assert table.entered.acquire(timeout=PATIENCE)
        with pytest.raises(WriterFullError, match="80 bytes wait to be written already; send it again later"):
            writer.write([2], 30)
        second = writer.write([2], 20)
        table.open.set()
        first.result(PATIENCE)
        second.result(PATIENCE)
        writer.write([3], 100).result(PATIENCE)
    assert table.batches == [[1], [2], [3]]


def test_a_request_larger_than_all_that_may_wait_is_taken_when_nothing_does() -> None:
    table = Table()
    with writing(table, interval=0, max_waiting_bytes=100) as writer:
        writer.write([1], 1000).result(PATIENCE)
    assert table.batches == [[1]]


def test_closing_writes_what_was_taken_and_takes_nothing_more() -> None:
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
