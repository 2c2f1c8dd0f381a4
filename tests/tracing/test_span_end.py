"""A span that is held: ended for everybody who looks at it, and sent when it is released."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import Status, StatusCode

from otel_coverage.tracing.log import log
from otel_coverage.tracing.span_end import SpanEndHook
from tests.support.traced import Spans


class Held:
    """A span that is held until :meth:`release`."""

    def __init__(self, spans: Spans) -> None:
        span = spans.provider.get_tracer("t").start_span("work", Context())
        assert isinstance(span, Span)
        self.span = span
        self.hooks: list[SpanEndHook] = []
        SpanEndHook(span, lambda: span.set_attribute("written", "last"), self.hold)

    def hold(self, hook: SpanEndHook) -> bool:
        self.hooks.append(hook)
        return True

    def release(self) -> None:
        self.hooks[0].release()


@pytest.fixture
def held(spans: Spans) -> Held:
    return Held(spans)


def test_it_is_sent_as_of_the_time_when_it_was_asked_to_end(held: Held, spans: Spans) -> None:
    held.span.end(7)
    assert spans.ended == []
    held.release()
    (span,) = spans.ended
    assert span.end_time == 7
    assert dict(span.attributes or {}) == {"written": "last"}


def test_whoever_looks_at_it_meanwhile_finds_a_span_that_has_ended(
    held: Held, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    held.span.end(7)
    with caplog.at_level(logging.WARNING, "opentelemetry.sdk.trace"):
        held.span.set_attribute("late", 1)
        held.span.set_attributes({"later": 1})
        held.span.add_event("late")
        held.span.update_name("late")
        held.span.set_status(Status(StatusCode.ERROR))
        held.span.record_exception(ValueError())
        held.span.end(9)
    assert len(caplog.records) == 7
    assert caplog.records[-1].getMessage() == "Calling end() on an ended span."
    assert not held.span.is_recording()
    assert held.span.end_time == 7
    held.release()
    (span,) = spans.ended
    assert (span.name, span.end_time, span.events, span.status.status_code) == ("work", 7, (), StatusCode.UNSET)
    assert dict(span.attributes or {}) == {"written": "last"}


def test_an_exception_that_leaves_its_block_is_recorded_before_it_is_held(held: Held, spans: Spans) -> None:
    with pytest.raises(ValueError, match="broken"), held.span:
        raise ValueError("broken")
    held.release()
    (span,) = spans.ended
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.status_code is StatusCode.ERROR


def test_it_is_sent_once_whoever_ends_and_releases_it_and_however_often(held: Held, spans: Spans) -> None:
    everybody_is_here = threading.Barrier(8)

    def end_and_release() -> None:
        everybody_is_here.wait()
        held.span.end()
        for hook in held.hooks:
            hook.release()

    threads = [threading.Thread(target=end_and_release) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held.release()
    held.span.end()
    (span,) = spans.ended
    assert dict(span.attributes or {}) == {"written": "last"}


def fails(_: SpanEndHook) -> bool:
    raise ZeroDivisionError("ours")


@pytest.mark.parametrize("hold", [lambda _: False, fails], ids=["refuses", "fails"])
def test_who_does_not_hold_it_ends_it_at_once(hold: Callable[[SpanEndHook], bool], spans: Spans) -> None:
    span = spans.provider.get_tracer("t").start_span("work", Context())
    assert isinstance(span, Span)
    SpanEndHook(span, lambda: span.set_attribute("written", "last"), hold)
    span.end(7)
    assert [(span.end_time, dict(span.attributes or {})) for span in spans.ended] == [(7, {"written": "last"})]
    assert log.counts["failures"] == (hold is fails)


def test_a_failure_to_write_does_not_keep_it(spans: Spans) -> None:
    def cannot_write() -> None:
        raise ZeroDivisionError("ours")

    span = spans.provider.get_tracer("t").start_span("work", Context())
    assert isinstance(span, Span)
    hook = SpanEndHook(span, cannot_write, lambda _: True)
    span.end(7)
    hook.release()
    assert [span.end_time for span in spans.ended] == [7]


def test_a_forked_child_leaves_it_to_its_parent(held: Held, spans: Spans) -> None:
    child = os.fork()
    if child == 0:
        held.span.end()
        os._exit(len(held.hooks) + len(spans.ended))
    assert os.waitpid(child, 0)[1] == 0
    held.span.end()
    held.release()
    assert len(spans.ended) == 1
