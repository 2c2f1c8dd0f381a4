"""The log by itself: what was appended is read again, whatever happened to its files or its disk."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_coverage.collecting.log import Gap, Log, LogClosedError, LogFullError
from otel_coverage.collecting.log.segment import Segment, SegmentWriter
from otel_coverage.errors import ConfigurationError
from otel_coverage.framing import HEADER_BYTES, framed

EVERYTHING = 1 << 40  # bytes


@contextmanager
def opened(folder: Path, **limits: int) -> Iterator[Log]:
    with Log(folder, **{"reserve_bytes": 0, **limits}) as log:
        yield log


def payloads(log: Log, after: int = 0) -> list[bytes]:
    """All records, read a few bytes at a time."""
    found: list[bytes] = []
    while records := log.read(after, 100):
        found += [record.payload for record in records]
        after = records[-1].number
    return found


def left_by_a_killed_process(folder: Path, *groups: list[bytes]) -> list[Path]:
    """The segments of a log, one for each group of records."""
    folder.mkdir(exist_ok=True)
    files = []
    number = 1
    for group in groups:
        writer = SegmentWriter(Segment.named(folder, number))
        writer.append(group)
        writer.close()
        number += len(group)
        files.append(writer.segment.path)
    return files


def test_records_are_read_in_their_order_again_and_again(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        numbers = [log.append(bytes([n]) * 40) for n in range(10)]
        assert numbers == list(range(1, 11))
        assert [record.number for record in log.read(3, EVERYTHING)] == list(range(4, 11))
        assert payloads(log) == payloads(log) == [bytes([n]) * 40 for n in range(10)]


def test_a_restart_continues_after_what_the_store_has(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for n in range(5):
            log.append(b"%d" % n)
        log.inserted(2)
        name = log.name
    with opened(tmp_path) as log:
        assert (log.name, log.last_inserted, log.last) == (name, 2, 5)
        assert payloads(log, log.last_inserted) == [b"2", b"3", b"4"]
        assert log.append(b"5") == 6
        assert payloads(log, log.last_inserted) == [b"2", b"3", b"4", b"5"]


def test_segments_are_removed_whole_once_the_store_has_their_records(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=1000) as log:  # segments of 250 bytes: three records of 100
        for _ in range(7):
            log.append(bytes(76))
        assert [file.name for file in sorted(tmp_path.glob("*.log"))] == [f"{n:020d}.log" for n in (1, 4, 7)]
        log.inserted(5)
        assert [file.name for file in sorted(tmp_path.glob("*.log"))] == [f"{n:020d}.log" for n in (4, 7)]
        log.inserted(7)
    assert list(tmp_path.glob("*.log")) == []


def test_a_full_log_refuses_until_the_store_has_something(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=400) as log:
        for _ in range(4):
            log.append(bytes(76))
        with pytest.raises(LogFullError, match="retry later"):
            log.append(bytes(76))
        log.inserted(4)
        log.append(bytes(76))


def test_a_record_larger_than_the_log_is_accepted_while_the_log_is_empty(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=100) as log:
        log.append(bytes(5000))
        assert payloads(log) == [bytes(5000)]


def test_the_log_belongs_to_its_user_alone_and_to_one_process(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with opened(folder) as log:
        log.append(b"x")
        modes = {path.name: path.stat().st_mode & 0o077 for path in [folder, *folder.iterdir()]}
        assert set(modes.values()) == {0}
        with pytest.raises(ConfigurationError, match="another collector uses this log"):
            Log(folder)


def test_what_comes_after_the_end_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.close()
        with pytest.raises(LogClosedError):
            log.append(b"x")


def test_records_that_wait_together_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    first, may_sync = threading.Event(), threading.Event()
    sync = os.fdatasync

    def slow_sync(file: int) -> None:
        syncs.append(file)
        first.set()
        assert may_sync.wait(30)
        sync(file)

    monkeypatch.setattr("otel_coverage.collecting.log.segment._sync", slow_sync)
    with opened(tmp_path) as log:
        threads = [threading.Thread(target=log.append, args=(b"x",)) for _ in range(20)]
        threads[0].start()
        assert first.wait(30)
        for thread in threads[1:]:
            thread.start()
        while len(log._waiting) < 19:
            first.wait(0.01)
        may_sync.set()
        for thread in threads:
            thread.join()
        assert log.last == 20
    assert len(syncs) == 2


@pytest.mark.parametrize("cut", [1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 5])
def test_a_torn_tail_is_cut_off_and_told(tmp_path: Path, cut: int) -> None:
    (file,) = left_by_a_killed_process(tmp_path, [b"first", b"second"])
    whole = HEADER_BYTES + len(b"first")
    os.truncate(file, whole + cut)
    with opened(tmp_path) as log:
        assert log.gaps == [Gap(file, whole, whole + cut, 2, 0)]
        assert payloads(log) == [b"first"]
        assert log.append(b"new") == 2
    with opened(tmp_path) as log:
        assert log.gaps == []
        assert payloads(log) == [b"first", b"new"]


def test_a_segment_that_is_all_torn_makes_room_for_the_next(tmp_path: Path) -> None:
    (file,) = left_by_a_killed_process(tmp_path, [b"only"])
    os.truncate(file, 7)
    with opened(tmp_path) as log:
        assert log.gaps == [Gap(file, 0, 7, 1, 0)]
        assert log.append(b"new") == 1
        assert payloads(log) == [b"new"]


def test_damage_in_the_middle_is_told_and_what_follows_is_read(tmp_path: Path) -> None:
    (file,) = left_by_a_killed_process(tmp_path, [b"record %d" % n for n in range(5)])
    size = HEADER_BYTES + len(b"record 0")
    with open(file, "r+b") as opened_file:
        opened_file.seek(size + 3)
        opened_file.write(b"\0" * size)  # of the second and the third
    with opened(tmp_path) as log:
        assert log.gaps == [Gap(file, size, 3 * size, 2, 3)]
        assert payloads(log) == [b"record 0", b"record 3", b"record 4"]


def test_a_segment_that_vanished_is_told(tmp_path: Path) -> None:
    files = left_by_a_killed_process(tmp_path, [b"1"], [b"2", b"3"], [b"4"])
    with opened(tmp_path) as log:
        assert log.gaps == []
    files[1].unlink()
    with opened(tmp_path) as log:
        assert log.gaps == [Gap(files[2], 0, 0, 2, 3)]
        assert payloads(log) == [b"1", b"4"]


def test_a_frame_within_a_damaged_record_is_not_taken_for_a_record(tmp_path: Path) -> None:
    inner = framed(b"forged", number=2**63)
    (file,) = left_by_a_killed_process(tmp_path, [b"first", b"outer" + inner, b"last"])
    with open(file, "r+b") as opened_file:
        opened_file.seek(2 * HEADER_BYTES + len(b"first"))
        opened_file.write(b"OUTER")
    with opened(tmp_path) as log:
        assert payloads(log) == [b"first", b"last"]
        assert [(gap.first, gap.last) for gap in log.gaps] == [(2, 2)]


def test_a_damaged_checkpoint_has_everything_inserted_once_more(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for n in range(4):
            log.append(b"%d" % n)
        log.inserted(2)
    (tmp_path / "checkpoint").write_bytes(b"?")
    with opened(tmp_path) as log:
        assert payloads(log, log.last_inserted) == [b"0", b"1", b"2", b"3"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.binary(max_size=60), min_size=1, max_size=8),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 40),
)
def test_whatever_bytes_are_damaged_the_others_are_read_and_each_loss_is_told(
    tmp_path: Path, records: list[bytes], damage: list[tuple[float, int]], cut: int
) -> None:
    for old in tmp_path.glob("*"):
        old.unlink()
    (file,) = left_by_a_killed_process(tmp_path, records)
    data = bytearray(file.read_bytes())
    starts = [sum(HEADER_BYTES + len(record) for record in records[:n]) for n in range(len(records) + 1)]
    damaged = {int(where * len(data)): mask for where, mask in damage}
    for position, mask in damaged.items():
        data[position] ^= mask
    end = max(len(data) - cut, 0)
    file.write_bytes(data[:end])
    whole = {
        n + 1
        for n in range(len(records))
        if starts[n + 1] <= end and not any(starts[n] <= position < starts[n + 1] for position in damaged)
    }
    with opened(tmp_path) as log:
        found = log.read(0, EVERYTHING)
        assert {record.number for record in found} >= whole
        for record in found:
            assert record.payload == records[record.number - 1] or record.number not in whole
        told = {n for gap in log.gaps for n in range(gap.first, (gap.last or len(records)) + 1)}
        lost = set(range(1, len(records) + 1)) - {record.number for record in found}
        # records that were cut off whole leave nothing that could tell
        assert {n for n in lost if starts[n - 1] < end} <= told


def test_a_disk_that_cannot_be_written_makes_exports_wait_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fill() -> None:
        with opened(tmp_path) as log:
            log.append(b"before")
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # bytes in a file; beyond, write() fails
            for _ in range(3):
                with pytest.raises(LogFullError, match="retry later"):
                    log.append(bytes(500))
            log.append(b"small")  # a record that fits is accepted
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            log.append(bytes(500))
            assert payloads(log) == [b"before", b"small", bytes(500)]
        assert [record.message.partition(": ")[2][:22] for record in caplog.records] == [
            "exports are refused, a",
            "exports are accepted a",
        ]

    # in a process of its own: the store's engine may write meanwhile, in threads of this one
    child = multiprocessing.get_context("fork").Process(target=fill)
    child.start()
    child.join()
    assert child.exitcode == 0
    with opened(tmp_path) as log:
        assert log.gaps == []
        assert payloads(log) == [b"before", b"small", bytes(500)]


def test_a_sync_that_fails_is_not_an_acknowledgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fdatasync
    failing = True

    def failing_sync(file: int) -> None:
        if failing:
            raise OSError(errno.EIO, "Input/output error")
        sync(file)

    monkeypatch.setattr("otel_coverage.collecting.log.segment._sync", failing_sync)
    with opened(tmp_path) as log:
        with pytest.raises(LogFullError, match="Input/output error"):
            log.append(b"unsynced")
        failing = False
        assert log.append(b"synced") == 1
        assert payloads(log) == [b"synced"]


def test_below_the_reserve_of_free_space_nothing_is_accepted(tmp_path: Path) -> None:
    with opened(tmp_path, reserve_bytes=1 << 60) as log, pytest.raises(LogFullError, match="--reserve-bytes"):
        log.append(b"x")
