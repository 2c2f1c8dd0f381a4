"""What processes have given up is known though no span of theirs is kept any more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otel_coverage.spool import lost_counts
from otel_coverage.spool.drain import Drain
from otel_coverage.spool.lost_counts import LostCount, LostCounts
from otel_coverage.spool.receiver import Answer, Outcome
from otel_coverage.tracing.playback import Playback
from tests.spool.requests import spans_in, value

CHECKOUT, BROWSE = Playback("checkout", "night-1"), Playback("browse", "night-1")


@pytest.fixture
def lost(tmp_path: Path) -> LostCounts:
    counts = LostCounts(tmp_path / "spool")
    counts.open()
    return counts


class Receiver:
    def __init__(self, outcome: Outcome = Outcome.ACCEPTED) -> None:
        self.outcome = outcome
        self.received: list[bytes] = []

    def send(self, message: bytes) -> Answer:
        self.received.append(message)
        return Answer(self.outcome, "said so")

    def close(self) -> None:
        pass

    @property
    def reports(self) -> list[tuple[str | int, ...]]:
        """Profile, process and the number of spans, in the order in which they came."""
        return [
            tuple(value(span, key) for key in ("playback.profile", "coverage.process", "coverage.dropped"))
            for message in self.received
            for span in spans_in(message)
        ]


def test_of_each_playback_and_process_the_last_count_is_kept(lost: LostCounts) -> None:
    assert lost.note([LostCount(CHECKOUT, "1" * 16, 1), LostCount(BROWSE, "1" * 16, 2)])
    assert lost.note([LostCount(CHECKOUT, "1" * 16, 5), LostCount(CHECKOUT, "2" * 16, 1)])
    assert set(lost.read()) == {
        LostCount(CHECKOUT, "1" * 16, 5),
        LostCount(BROWSE, "1" * 16, 2),
        LostCount(CHECKOUT, "2" * 16, 1),
    }


def test_noting_needs_no_more_room_than_the_file_has(lost: LostCounts, tmp_path: Path) -> None:
    path = tmp_path / "spool" / lost_counts.NAME
    before = path.stat()
    assert before.st_blocks * 512 >= before.st_size
    for number in range(2 * lost_counts._SLOTS):
        lost.note([LostCount(Playback(f"profile-{number}", "night-1"), "1" * 16, number)])
    assert path.stat().st_size == before.st_size


def test_where_all_slots_are_in_use_a_process_shares_that_of_another_one(
    lost: LostCounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_counts, "_SIZE", 3 * lost_counts._SLOT)
    assert lost.note([LostCount(CHECKOUT, "1" * 16, 3), LostCount(BROWSE, "1" * 16, 2)])
    for dropped in range(1, 5):
        assert lost.note([LostCount(CHECKOUT, "2" * 16, dropped)])
    assert lost.read() == [LostCount(CHECKOUT, "1" * 16, 4), LostCount(BROWSE, "1" * 16, 2)]
    assert not lost.note([LostCount(Playback("another"), "1" * 16, 1)])


def test_where_there_was_no_room_for_the_file_nothing_is_noted(tmp_path: Path) -> None:
    counts = LostCounts(tmp_path)
    assert not counts.note([LostCount(CHECKOUT, "1" * 16, 1)])
    assert (counts.read(), counts.changes()) == ([], 0)


def test_who_drains_the_spool_reports_what_was_given_up_until_that_is_accepted(
    lost: LostCounts, tmp_path: Path
) -> None:
    lost.note([LostCount(CHECKOUT, "1" * 16, 3)])
    receiver = Receiver(Outcome.LATER)
    drain = Drain(tmp_path / "spool", receiver, 3600.0, 1_000_000)
    assert not drain.run()
    assert (drain.error, drain.has_lost_counts) == ("said so", True)
    receiver.outcome = Outcome.ACCEPTED
    assert drain.run()
    assert drain.run()
    assert receiver.reports == [("checkout", "1" * 16, 3)] * 2
    assert (lost.read(), drain.has_lost_counts) == ([], False)


def test_what_is_given_up_while_it_is_reported_is_reported_then(lost: LostCounts, tmp_path: Path) -> None:
    class Losing(Receiver):
        def send(self, message: bytes) -> Answer:
            if not self.received:
                lost.note([LostCount(CHECKOUT, "1" * 16, 4)])
            return super().send(message)

    lost.note([LostCount(CHECKOUT, "1" * 16, 3)])
    receiver = Losing()
    drain = Drain(tmp_path / "spool", receiver, 3600.0, 1_000_000)
    assert drain.run()
    assert drain.run()
    assert receiver.reports == [("checkout", "1" * 16, 3), ("checkout", "1" * 16, 4)]
    assert lost.read() == []


def test_only_its_user_can_read_it(lost: LostCounts, tmp_path: Path) -> None:
    assert os.stat(tmp_path / "spool" / lost_counts.NAME).st_mode & 0o777 == 0o600
