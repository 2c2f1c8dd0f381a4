"""Frames: what was written whole is read, whatever has become of the bytes before and after it."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.framing import HEADER_BYTES, MARKER, Damage, Frame, framed, read_frames

MESSAGES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 2**64 - 1), st.one_of(st.binary(max_size=60), st.just(MARKER * 3))),
    min_size=1,
    max_size=6,
)


def frames(messages: list[tuple[int, int, bytes]]) -> list[bytes]:
    return [framed(payload, kind=kind, number=number) for kind, number, payload in messages]


@given(MESSAGES)
def test_what_was_written_is_read_in_order(messages: list[tuple[int, int, bytes]]) -> None:
    read = [part for part in read_frames(b"".join(frames(messages))) if isinstance(part, Frame)]
    assert [(frame.kind, frame.number, frame.payload) for frame in read] == messages


@given(MESSAGES, st.data())
def test_a_tail_that_was_cut_off_is_damage_and_all_before_it_is_read(
    messages: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    *whole, last = frames(messages)
    kept = data.draw(st.integers(1, len(last) - 1))
    before = b"".join(whole)
    parts = list(read_frames(before + last[:kept]))
    assert [part.payload for part in parts[:-1] if isinstance(part, Frame)] == [message[2] for message in messages[:-1]]
    assert parts[-1] == Damage(len(before), len(before) + kept, is_tail=True)


@given(MESSAGES, MESSAGES, st.data())
def test_reading_resumes_after_a_frame_in_which_any_byte_was_changed(
    before: list[tuple[int, int, bytes]], after: list[tuple[int, int, bytes]], data: st.DataObject
) -> None:
    broken = bytearray(framed(b"\x00" * data.draw(st.integers(0, 40)), kind=7, number=9))
    # the three unused bytes belong to nothing
    at = data.draw(st.integers(0, len(broken) - 1).filter(lambda at: at not in (5, 6, 7)))
    broken[at] ^= data.draw(st.integers(1, 255))
    start = sum(map(len, frames(before)))
    parts = list(read_frames(b"".join(frames(before)) + broken + b"".join(frames(after))))
    read = [(part.kind, part.number, part.payload) for part in parts if isinstance(part, Frame)]
    assert read == before + after
    assert [part for part in parts if isinstance(part, Damage)] == [Damage(start, start + len(broken), is_tail=False)]


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frames_are_damage_and_nothing_else(noise: bytes) -> None:
    parts = list(read_frames(noise))
    assert parts == ([Damage(0, len(noise), is_tail=True)] if noise else [])


@given(MESSAGES)
def test_reading_can_begin_at_any_frame(messages: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(frames(messages))
    whole = list(read_frames(data))
    assert [list(read_frames(data, part.start)) for part in whole] == [whole[n:] for n in range(len(whole))]


def test_a_file_is_read_through_its_memory_map(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(framed(b"one") + framed(b"two", kind=1, number=5))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert [part.payload for part in read_frames(data) if isinstance(part, Frame)] == [b"one", b"two"]


def test_a_header_has_twenty_four_bytes_and_the_payload_follows_as_it_is() -> None:
    assert HEADER_BYTES == 24
    assert framed(b"payload").endswith(b"payload")
    assert len(framed(b"payload")) == 24 + 7


def test_a_kind_that_is_no_byte_is_refused() -> None:
    with pytest.raises(Exception, match="255"):
        framed(b"", kind=256)
