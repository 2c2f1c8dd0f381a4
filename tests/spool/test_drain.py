"""What becomes of what lies in a spool, whatever its receiver answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_coverage.spool import Spool
from otel_coverage.spool.drain import Drain
from otel_coverage.spool.receiver import Answer, Outcome
from otel_coverage.spool.spool_file import START, SpoolFile
from otel_coverage.spool.status import SpoolStatus
from tests.spool.requests import names_in, request, spans_in, value

ACCEPTED = Answer(Outcome.ACCEPTED)
LATER = Answer(Outcome.LATER, "UNAVAILABLE: away", 7.0)


class Receiver:
    """Answers as it is told, and keeps what it accepts."""

    def __init__(self, answer: Callable[[bytes], Answer] = lambda _: ACCEPTED) -> None:
        self.answer = answer
        self.accepted: list[bytes] = []
        self.asked = 0

    def send(self, message: bytes) -> Answer:
        self.asked += 1
        answer = self.answer(message)
        if answer.outcome is Outcome.ACCEPTED:
            self.accepted.append(message)
        return answer

    def close(self) -> None:
        pass

    @property
    def names(self) -> list[str]:
        return [name for message in self.accepted for name in names_in(message)]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


def kept(spool: Spool, messages: Iterable[bytes]) -> Path:
    for message in messages:
        assert spool.append(message)
    assert spool.folder is not None
    return spool.folder


def drain(folder: Path, receiver: Receiver, *, max_age: float = 3600.0) -> Drain:
    return Drain(folder, receiver, max_age, 10_000_000)


def refuses(*names: str, outcome: Outcome = Outcome.REFUSED) -> Callable[[bytes], Answer]:
    return lambda message: Answer(outcome, "no") if set(names) & set(names_in(message)) else ACCEPTED


def test_many_small_requests_are_sent_as_one_in_their_order(spool: Spool) -> None:
    receiver = Receiver()
    folder = kept(spool, [request(str(number)) for number in range(100)])
    assert drain(folder, receiver).run()
    assert receiver.names == [str(number) for number in range(100)]
    assert len(receiver.accepted) == 1


def test_what_is_not_accepted_stays_and_is_sent_again(spool: Spool) -> None:
    receiver = Receiver(lambda _: LATER)
    folder = kept(spool, [request("first"), request("second")])
    sending = drain(folder, receiver)
    assert not sending.run()
    assert (sending.error, sending.delay) == ("UNAVAILABLE: away", 7.0)
    receiver.answer = lambda _: ACCEPTED
    assert sending.run()
    assert receiver.names == ["first", "second"]
    assert sending.run()
    assert receiver.names == ["first", "second"]


def test_a_message_that_is_too_large_is_sent_in_parts_and_later_ones_are_smaller(spool: Spool) -> None:
    limit = 60_000
    receiver = Receiver(lambda message: ACCEPTED if len(message) < limit else Answer(Outcome.TOO_LARGE, "larger"))
    folder = kept(spool, [request(*(f"{part}.{number}" for number in range(8)), size=10_000) for part in range(4)])
    sending = drain(folder, receiver)
    assert sending.run()
    assert sorted(receiver.names) == sorted(f"{part}.{number}" for part in range(4) for number in range(8))
    assert sending.counts.sent == 32
    kept(spool, [request(str(number), size=10_000) for number in range(12)])
    asked = receiver.asked
    assert sending.run()
    assert receiver.asked - asked <= 6


def test_a_span_that_is_refused_is_kept_aside_and_told_and_the_others_arrive(spool: Spool) -> None:
    receiver = Receiver(refuses("poison"))
    folder = kept(spool, [request("first", "poison", "second"), request("third")])
    sending = drain(folder, receiver)
    assert sending.run()
    assert [name for name in receiver.names if name != "counts"] == ["first", "second", "third"]
    assert (sending.counts.sent, sending.counts.refused) == (3, 1)
    (told,) = (span for message in receiver.accepted for span in spans_in(message) if span.name == "counts")
    assert value(told, "playback.profile") == "checkout"
    assert value(told, "playback.run_id") == "run-1"
    assert value(told, "coverage.dropped") == 1
    assert SpoolStatus.of(folder).refused == 1
    asked = receiver.asked
    assert sending.run()
    assert receiver.asked == asked  # neither the span nor the count is sent again


def test_where_a_receiver_accepts_a_message_and_refuses_some_of_it_each_run_in_it_may_lack_them(spool: Spool) -> None:
    receiver = Receiver(lambda message: Answer(Outcome.ACCEPTED, refused=2 if "1" in names_in(message) else 0))
    runs = {"1": "run-1", "2": "run-1", "3": "run-1", "4": "run-2"}
    folder = kept(spool, [request(name, run_id=run) for name, run in runs.items()])
    sending = drain(folder, receiver)
    assert sending.run()
    assert (sending.counts.sent, sending.counts.refused) == (2, 2)
    reports = [span for message in receiver.accepted for span in spans_in(message) if span.name == "counts"]
    assert {value(span, "playback.run_id"): value(span, "coverage.dropped") for span in reports} == {
        "run-1": 2,
        "run-2": 1,
    }


def test_a_span_that_is_refused_counts_once_however_often_those_beside_it_are_sent(spool: Spool) -> None:
    away = True

    def answer(message: bytes) -> Answer:
        if away and set(names_in(message)) & {"late", "later"} and "poison" not in names_in(message):
            return LATER
        return refuses("poison")(message)

    receiver = Receiver(answer)
    folder = kept(spool, [request("poison", "late", "later")])
    sending = drain(folder, receiver)
    for _ in range(3):
        assert not sending.run()
    away = False
    assert sending.run()
    assert {"late", "later"} <= set(receiver.names)
    assert sending.counts.refused == 1
    assert SpoolStatus.of(folder).refused == 1
    told = [span for message in receiver.accepted for span in spans_in(message) if span.name == "counts"]
    assert {value(span, "coverage.dropped") for span in told} == {1}
    kept(spool, [request("poison", "late", "later")])  # the same once more is another one
    assert sending.run()
    assert sending.counts.refused == 2


def test_a_message_that_a_receiver_keeps_failing_on_does_not_hold_up_the_others(spool: Spool) -> None:
    receiver = Receiver(refuses("poison", outcome=Outcome.FAILED))
    folder = kept(spool, [request("poison"), request("first")])
    sending = drain(folder, receiver)
    attempts = 1
    while not sending.run():
        attempts += 1
        assert attempts < 20
    assert attempts > 2  # it may have been the receiver's problem
    assert "first" in receiver.names
    assert sending.counts.refused == 1


def test_what_is_too_old_is_deleted_and_told(spool: Spool) -> None:
    receiver = Receiver()
    folder = kept(spool, [request("old", "older")])
    time.sleep(0.02)
    sending = drain(folder, receiver, max_age=0.01)
    assert sending.run()
    assert receiver.names == ["counts"]
    assert value(spans_in(receiver.accepted[0])[0], "coverage.dropped") == 2
    assert sending.counts.expired == 2
    assert SpoolStatus.of(folder).spans == 0


def test_what_was_given_up_is_told_later_where_the_receiver_does_not_answer(spool: Spool) -> None:
    receiver = Receiver(lambda _: LATER)
    folder = kept(spool, [request("old")])
    time.sleep(0.02)
    sending = drain(folder, receiver, max_age=0.01)
    assert not sending.run()
    receiver.answer = lambda _: ACCEPTED
    assert sending.run()
    assert receiver.names == ["counts"]


class KilledError(BaseException):
    """In place of a signal that nobody can catch."""


def told_by(*receivers: Receiver) -> set[tuple[object, object]]:
    """The processes that tell what was given up, and how many spans."""
    spans = (span for receiver in receivers for message in receiver.accepted for span in spans_in(message))
    return {
        (value(span, "coverage.process"), value(span, "coverage.dropped")) for span in spans if span.name == "counts"
    }


def test_what_a_sender_gave_up_that_was_killed_before_it_told_it_is_told_by_the_next_one(spool: Spool) -> None:
    def answer(message: bytes) -> Answer:
        if "counts" in names_in(message):
            raise KilledError
        return refuses("poison")(message)

    killed, following = Receiver(answer), Receiver(refuses("poison"))
    folder = kept(spool, [request("first", "poison", "second")])
    with pytest.raises(KilledError):
        drain(folder, killed).run()
    assert drain(folder, following).run()
    ((_, dropped),) = told_by(killed, following)
    assert dropped == 1
    assert SpoolStatus.of(folder).spans == 0


@pytest.mark.parametrize("kind", ["refused", "expired"])
def test_what_two_senders_gave_up_as_the_first_was_killed_is_told_by_both_under_one_process(
    kind: str, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(file: SpoolFile, position: int) -> None:
        raise KilledError

    receivers = [Receiver(refuses("poison")) for _ in range(2)]
    folder = kept(spool, [request("poison", "first"), request("second")])
    time.sleep(0.02)
    max_age = 3600.0 if kind == "refused" else 0.01
    with monkeypatch.context() as patched:
        patched.setattr(SpoolFile, "acknowledge", killed)
        with pytest.raises(KilledError):
            drain(folder, receivers[0], max_age=max_age).run()
    assert drain(folder, receivers[1], max_age=max_age).run()
    ((_, dropped),) = told_by(*receivers)
    assert dropped == (1 if kind == "refused" else 3)
    assert all(told_by(receiver) for receiver in receivers)


def test_what_was_sent_is_not_sent_again_where_only_what_was_given_up_beside_it_could_not_be_told(spool: Spool) -> None:
    receiver = Receiver(lambda message: LATER if "counts" in names_in(message) else refuses("poison")(message))
    folder = kept(spool, [request("first", "poison")])
    sending = drain(folder, receiver)
    assert not sending.run()
    assert not sending.run()
    assert spool.append(request("second"))
    receiver.answer = refuses("poison")
    assert sending.run()
    assert sorted(receiver.names) == ["counts", "first", "second"]
    assert (sending.counts.sent, sending.counts.refused) == (2, 1)
    assert SpoolStatus.of(folder).spans == 0


def test_damage_is_counted_and_what_lies_behind_it_is_sent(spool: Spool) -> None:
    receiver = Receiver()
    folder = kept(spool, [request("first", size=1000)])
    (path,) = folder.glob("*.spool")
    with path.open("r+b") as file:
        file.seek(START + 100)
        file.write(b"damage")
    kept(spool, [request("second")])
    sending = drain(folder, receiver)
    assert sending.run()
    assert receiver.names == ["counts", "second"]
    assert sending.counts.damaged > 1000


def test_damage_is_told_with_the_time_and_the_service_of_what_lies_around_it(spool: Spool) -> None:
    receiver = Receiver(lambda _: LATER)
    before = time.time_ns()
    folder = kept(spool, [request("first"), request("second", size=1000)])
    (path,) = folder.glob("*.spool")
    with path.open("r+b") as file:
        file.seek(-500, 2)
        file.write(b"damage")
    kept(spool, [request("third")])
    assert not drain(folder, receiver).run()
    receiver.answer = lambda _: ACCEPTED
    for _ in range(2):  # the second time there is nothing left
        assert drain(folder, receiver).run()
    assert receiver.names == ["counts", "first", "third"]
    (told,) = spans_in(receiver.accepted[0])
    assert (value(told, "playback.profile"), value(told, "coverage.role")) == ("_damaged", "counts")
    assert before <= told.start_time_unix_nano < told.end_time_unix_nano <= time.time_ns()
    resource = ExportTraceServiceRequest.FromString(receiver.accepted[0]).resource_spans[0].resource
    assert resource == ExportTraceServiceRequest.FromString(receiver.accepted[1]).resource_spans[0].resource


def test_damage_that_is_found_twice_is_one(spool: Spool) -> None:
    receiver = Receiver()
    folder = kept(spool, [request("first", size=1000)])
    (path,) = folder.glob("*.spool")
    with path.open("r+b") as file:
        file.seek(START + 100)
        file.write(b"damage")
    content = path.read_bytes()
    for _ in range(2):
        path.write_bytes(content)
        assert drain(folder, receiver).run()
    first, second = (spans_in(message)[0] for message in receiver.accepted)
    assert (first.trace_id, first.span_id) == (second.trace_id, second.span_id)


def test_a_request_that_is_no_message_is_kept_aside(spool: Spool) -> None:
    receiver = Receiver(lambda message: ACCEPTED if message.startswith(b"\n") else Answer(Outcome.REFUSED, "none"))
    folder = kept(spool, [b"\xff\xff no message"])
    assert drain(folder, receiver).run()
    kept(spool, [request("first")])
    assert drain(folder, receiver).run()
    assert receiver.names == ["first"]
