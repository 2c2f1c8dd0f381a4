"""What is known of entries whose process was killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from otel_coverage.spool.begun import take_abandoned
from tests.spool.begun import left_behind


def left_by(folder: Path, program: str) -> list[tuple[str, Any]]:
    """Name and span id of what a killed process had begun, and whether it is left only once."""
    assert left_behind(folder, program) == -signal.SIGKILL
    found = [(begun.name, begun.span_id) for begun in take_abandoned(folder)]
    assert list(take_abandoned(folder)) == []
    return found


def test_what_a_killed_process_had_begun_is_known_before_and_after_its_span_started(tmp_path: Path) -> None:
    program = """
slots.begin("first", note("first"))
slots.begin("second", note("second"))
slots.start("second", 2, note("second, in its trace", "02"))
slots.start("third", 3, note("third", "03"))
"""
    assert left_by(tmp_path, program) == [("first", ""), ("second, in its trace", "02"), ("third", "03")]


def test_what_has_ended_is_not_left_whether_or_not_it_had_a_span(tmp_path: Path) -> None:
    program = """
slots.begin("first", note("first"))
slots.forget("first")
slots.begin("second", note("second"))
slots.start("second", 2, note("second", "02"))
slots.settled([span(1), span(2)])
slots.start("third", 3, note("third", "03"))
"""
    assert left_by(tmp_path, program) == [("third", "03")]


def test_the_slots_of_what_has_ended_are_used_again(tmp_path: Path) -> None:
    program = """
for number in range(20_000):  # there are 16,384 slots
    assert slots.begin(str(number), note("before"))
    assert slots.start(str(number), number, note("after"))
    slots.settled([span(number)])
assert slots.begin("last", note("last"))
"""
    assert left_by(tmp_path, program) == [("last", "")]
    assert (tmp_path / "begun").stat().st_blocks * 512 <= 16 * 1024 + 4096  # of one region


def test_a_long_name_is_cut_and_the_rest_of_the_note_is_whole(tmp_path: Path) -> None:
    ((name, span_id),) = left_by(tmp_path, 'slots.start("one", 1, note("n" * 5000, "01"))\n')
    assert 200 < len(name) < 1024
    assert (set(name), span_id) == ({"n"}, "01")


def test_a_child_leaves_the_notes_of_its_parent_alone(tmp_path: Path) -> None:
    program = """
slots.begin("parent's", note("parent's"))
child = os.fork()
if not child:
    slots.forget("parent's")
    slots.begin("child's", note("child's"))
    os._exit(0)
os.waitpid(child, 0)
"""
    assert sorted(left_by(tmp_path, program)) == [("child's", ""), ("parent's", "")]


def test_what_was_begun_is_noted_anew_where_somebody_has_deleted_the_file(tmp_path: Path) -> None:
    program = """
slots.start("first", 1, note("first", "01"))
slots.start("second", 2, note("second", "02"))
(Path(sys.argv[1]) / "begun").unlink()
assert slots.open()
assert is_known_to_live()
slots.settled([span(1)])
slots.start("third", 3, note("third", "03"))
"""
    assert sorted(left_by(tmp_path, program)) == [("second", "02"), ("third", "03")]


def test_what_was_begun_is_noted_anew_where_somebody_has_closed_the_files_descriptor(tmp_path: Path) -> None:
    program = """
slots.start("first", 1, note("first", "01"))
os.close(slots._fd)
theirs = os.open(Path(sys.argv[1]) / "theirs", os.O_RDWR | os.O_CREAT)
assert slots.open()
assert os.fstat(theirs).st_size == 0
assert is_known_to_live()
slots.start("second", 2, note("second", "02"))
"""
    assert sorted(left_by(tmp_path, program)) == [("first", "01"), ("second", "02")]
