"""What a process tells of how much it has recorded and lost."""

from __future__ import annotations

import os
import re
import threading

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import Playback
from otel_coverage.tracing.processor import CoverageSpanProcessor
from otel_coverage.tracing.tally import Tally
from tests.support.traced import RECORDING, STORE_FRONT, Spans

FIRST, SECOND = Playback("checkout", "run-1"), Playback("checkout", "run-2")


@pytest.fixture
def reporting(spans: Spans) -> Spans:
    spans.provider.add_span_processor(CoverageSpanProcessor(RECORDING, tracer_provider=spans.provider))
    return spans


def told(spans: Spans, tally: Tally, *, only_dropped: bool = False) -> list[tuple[object, ...]]:
    """What a report tells: run, recorded, dropped."""
    spans.clear()
    tally.report(spans.provider.get_tracer("t"), only_dropped=only_dropped)
    names = ("playback.run_id", "coverage.recorded", "coverage.dropped")
    return [tuple((span.attributes or {}).get(name) for name in names) for span in spans.ended]


def ended(spans: Spans, playback: Playback, **attributes: str) -> list[ReadableSpan]:
    spans.clear()
    context = with_playback(Context(), playback, Settings())
    spans.provider.get_tracer("t").start_span("lost", context, SpanKind.CLIENT, attributes).end()
    return spans.ended


def test_entries_are_numbered_from_one_for_each_playback() -> None:
    tally = Tally()
    numbers = [tally.number(playback, RECORDING) for playback in (FIRST, SECOND, FIRST, FIRST, SECOND)]
    assert [number for _, number in numbers] == [1, 1, 2, 3, 2]
    ((process),) = {process for process, _ in numbers}
    assert re.fullmatch("[0-9a-f]{16}", process)


def test_a_report_tells_of_what_has_changed_since_the_last_one(reporting: Spans) -> None:
    tally = Tally()
    for playback in (FIRST, FIRST, SECOND):
        tally.number(playback, RECORDING)
    assert told(reporting, tally) == [("run-1", 2, 0), ("run-2", 1, 0)]
    assert told(reporting, tally) == []
    tally.number(SECOND, RECORDING)
    assert told(reporting, tally) == [("run-2", 2, 0)]


def test_a_report_is_a_span_of_its_own_that_opens_no_entry(reporting: Spans) -> None:
    tally = Tally()
    process, _ = tally.number(FIRST, RECORDING)
    tally.report(reporting.provider.get_tracer("t"))
    (span,) = reporting.ended
    assert span.parent is None
    assert dict(span.attributes or {}) == {
        "playback.profile": "checkout",
        "playback.run_id": "run-1",
        "coverage.role": "counts",
        "coverage.process": process,
        "coverage.recorded": 1,
        "coverage.dropped": 0,
    }


def test_lost_spans_are_counted_where_they_tell_something_of_coverage(reporting: Spans) -> None:
    tally = Tally()
    tally.dropped(ended(reporting, FIRST, **{"coverage.role": "producer"}))
    tally.dropped(ended(reporting, FIRST))  # of a library
    tally.dropped(ended(reporting, SECOND, **{"coverage.role": "part"}))
    assert told(reporting, tally, only_dropped=True) == [("run-1", 0, 1), ("run-2", 0, 1)]


def test_of_a_process_for_one_entry_only_losses_are_told(reporting: Spans) -> None:
    tally = Tally()
    tally.number(FIRST, RECORDING)
    assert told(reporting, tally, only_dropped=True) == []
    tally.dropped(ended(reporting, FIRST, **{"coverage.role": "consumer"}))
    assert told(reporting, tally, only_dropped=True) == [("run-1", 1, 1)]


def test_a_report_that_is_lost_is_repeated_and_does_not_count(reporting: Spans) -> None:
    tally = Tally()
    tally.number(FIRST, RECORDING)
    assert told(reporting, tally) == [("run-1", 1, 0)]
    tally.dropped(reporting.ended)
    assert told(reporting, tally) == [("run-1", 1, 0)]


def test_of_too_many_playbacks_the_oldest_is_told_and_begins_anew_as_another_process(reporting: Spans) -> None:
    tally = Tally(most=3)
    playbacks = [Playback("checkout", f"run-{number}") for number in range(4)]
    numbers = [tally.number(playback, RECORDING) for playback in playbacks]
    again = tally.number(playbacks[0], RECORDING)
    assert again.number == 1
    assert again.process not in {process for process, _ in numbers[:1]}
    assert len(tally._counts) == 3
    assert sorted(told(reporting, tally)) == sorted(
        [(f"run-{number}", 1, 0) for number in range(4)] + [("run-0", 1, 0)]
    )


def test_a_forked_child_is_another_process_and_begins_at_one() -> None:
    tally = Tally()
    process, _ = tally.number(FIRST, RECORDING)
    child = os.fork()
    if child == 0:
        own, number = tally.number(FIRST, RECORDING)
        os._exit(0 if own != process and number == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert tally.number(FIRST, RECORDING) == (process, 2)


def test_threads_get_different_numbers() -> None:
    tally = Tally()
    numbers: list[int] = []

    def count() -> None:
        numbers.extend(tally.number(FIRST, RECORDING).number for _ in range(500))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 2001))


def test_where_a_token_is_set_the_report_is_of_the_playback_all_the_same(spans: Spans) -> None:
    settings = Settings(enabled=True, source=(STORE_FRONT,), token="secret")
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT], token="secret")
    tally = Tally()
    tally.number(FIRST, settings)
    assert told(spans, tally) == [("run-1", 1, 0)]


def test_counting_never_raises_into_the_exporter() -> None:
    Tally().dropped([None])  # type: ignore[list-item]
    assert log.counts["failures"] == 1
    log.clear()
