"""``inject()`` and ``attached()``: messages that no instrumentation sees."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode

import otel_coverage
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import with_playback
from otel_coverage.tracing.playback import Playback
from tests.support.traced import STORE_FRONT, Spans, functions

CHECKOUT = Playback("checkout", "run-1")


@pytest.fixture
def goods(store_front: None) -> ModuleType:
    return importlib.import_module("store_front.goods")


@pytest.fixture(autouse=True)
def instrumented(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", spans.provider)
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() is before, "something stayed attached"


def message_from(spans: Spans, settings: Settings | None = None, playback: Playback | None = CHECKOUT) -> Any:
    """The carrier that a sender injects within a span, as the receiver reads it."""
    settings = settings or Settings()
    context = Context() if playback is None else with_playback(Context(), playback, settings)
    token = otel_context.attach(context)
    with spans.provider.get_tracer("t").start_as_current_span("sending", kind=SpanKind.PRODUCER):
        message = json.dumps(otel_coverage.inject())
    otel_context.detach(token)
    return json.loads(message)


def span_named(name: str, spans: Spans) -> Any:
    (span,) = [span for span in spans.ended if span.name == name]
    return span


@pytest.mark.row("inject() and attached()", "message")
def test_work_on_a_message_is_recorded_for_its_sender(spans: Spans, goods: ModuleType) -> None:
    message = message_from(spans)
    done: list[object] = []

    def receive() -> None:
        with otel_coverage.attached(message, "restock"):
            done.append(goods.price("apple"))
        goods.names()

    receiver = threading.Thread(target=receive)
    receiver.start()
    receiver.join()
    assert done == [3]
    span = span_named("restock", spans)
    assert functions(span) == {"store_front.goods:price"}
    assert span.kind is SpanKind.CONSUMER
    assert span.parent.span_id == span_named("sending", spans).context.span_id
    expected = {"playback.profile": "checkout", "playback.run_id": "run-1", "coverage.role": "consumer"}
    assert expected.items() <= dict(span.attributes).items()


def test_work_on_a_message_within_another_profiles_work_is_recorded_apart(spans: Spans, goods: ModuleType) -> None:
    message = message_from(spans)
    with otel_coverage.attached(message_from(spans, playback=Playback("browsing")), "outer"):
        goods.names()
        with otel_coverage.attached(message, "inner"):
            goods.price("apple")
        goods.tag("x")
    assert functions(span_named("inner", spans)) == {"store_front.goods:price"}
    assert functions(span_named("outer", spans)) == {"store_front.goods:names", "store_front.goods:tag"}
    assert span_named("outer", spans).attributes["playback.profile"] == "browsing"


def test_an_exception_is_recorded_on_the_span_and_raised_on(spans: Spans, goods: ModuleType) -> None:
    with pytest.raises(LookupError), otel_coverage.attached(message_from(spans)):
        goods.price("stone")
    span = span_named("attached", spans)
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    assert functions(span) == {"store_front.goods:price", "store_front.goods:unknown"}


@pytest.mark.parametrize("message", [{}, {"baggage": "playback.profile=NO SLUG"}, {"traceparent": "x"}, None, "text"])
def test_work_on_a_message_without_a_playback_is_not_recorded(message: Any, spans: Spans, goods: ModuleType) -> None:
    with otel_coverage.attached(message):
        goods.names()
    span = span_named("attached", spans)
    assert span.parent is None
    assert not [name for name in span.attributes if name.startswith(("coverage.", "playback."))]


def test_outside_of_any_trace_there_is_nothing_to_inject() -> None:
    token = otel_context.attach(Context())
    assert otel_coverage.inject() == {}
    otel_context.detach(token)


@pytest.mark.row("inject() and attached()", "token")
def test_where_a_token_is_set_a_carrier_is_signed_and_accepted_only_with_its_signature(
    spans: Spans, goods: ModuleType
) -> None:
    otel_coverage.uninstrument()
    guarded = Settings(enabled=True, source=(STORE_FRONT,), token="secret")
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT], token="secret")
    message = message_from(spans, guarded)
    assert "playback.sig" in message["baggage"]
    assert "secret" not in str(message)
    with otel_coverage.attached(message, "signed"):
        goods.names()
    with otel_coverage.attached({"baggage": "playback.profile=checkout,other=1"}, "forged"):
        assert otel_coverage.inject()["baggage"] == "other=1"
        goods.names()
    assert functions(span_named("signed", spans)) == {"store_front.goods:names"}
    assert "playback.profile" not in span_named("forged", spans).attributes


def test_where_nothing_is_recorded_the_trace_is_continued(spans: Spans) -> None:
    message = message_from(spans)
    otel_coverage.uninstrument()
    with otel_coverage.attached(message):
        pass
    span = span_named("attached", spans)
    assert span.parent.span_id == span_named("sending", spans).context.span_id
    assert "coverage.functions" not in span.attributes


def test_a_carrier_keeps_its_playback_among_more_baggage_than_fits(spans: Spans) -> None:
    context = Context()
    for number in range(300):
        context = baggage.set_baggage(f"member{number}", "x", context)
    context = with_playback(context, Playback("checkout", "r1"), Settings(enabled=True))
    token = otel_context.attach(context)
    try:
        carried = otel_coverage.inject()["baggage"]
    finally:
        otel_context.detach(token)
    assert carried.startswith("playback.profile=checkout,playback.run_id=r1,member0=x,")


FORKS = """
import json, os, sys
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from otel_coverage.instrumentation import propagation
from otel_coverage.settings import Settings
from otel_coverage.spool import service
from otel_coverage.tracing import recorder as recorders
from otel_coverage.tracing.export import provider as providers

service.ensure_sender = lambda *_: False
settings = Settings(enabled=True, source=(sys.argv[1],))
tracer = providers.equip(settings).get_tracer("t")
recorder = recorders.install(settings)
providers.prepare()
from store_front.goods import price
carrier = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "baggage": "playback.profile=checkout,playback.run_id=run-1",
}
described = ("process", SpanKind.CONSUMER)


def perform(carrier):
    with propagation.start_entry_span(carrier, Context(), recorder, tracer, *described) as span:
        price("apple")
    return {"id": f"{span.context.span_id:016x}", "parent": f"{span.parent.span_id:016x}", **span.attributes}


def in_child(work):
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text)


started = []
start = tracer.start_span
tracer.start_span = lambda *args, **kwargs: started.append(os.getpid()) or start(*args, **kwargs)
with propagation.prepared_entry_span(carrier, recorder, tracer, *described):
    price("pear")  # of nobody
    first = in_child(lambda: [perform(carrier), len(started), perform(carrier)])
    other = in_child(lambda: [perform(dict(carrier)), len(started)])
after = in_child(lambda: [perform(carrier), len(started)])
print(json.dumps({"first": first, "other": other, "after": after, "has_traced": recorder.has_traced}))
"""


@pytest.mark.since(3, 12)
def test_a_forked_child_goes_on_with_the_span_that_was_started_for_it_and_with_no_other(
    store_front: None, tmp_path: Path
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", FORKS, STORE_FRONT],
        capture_output=True,
        text=True,
        check=False,
        env={**clean, "PYTHONPATH": str(Path(STORE_FRONT).parent), "XDG_STATE_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    (entry, started, second), (other, _), (after, after_started) = (
        answers[name] for name in ("first", "other", "after")
    )
    assert started == 1, "the child started no span of its own"
    assert after_started == 2, "what was prepared is gone with its block"
    assert len({span["id"] for span in (entry, second, other, after)}) == 4
    for span in (entry, second, other, after):
        assert span["parent"] == "b7ad6b7169203331"
        assert [each.rpartition("@")[0] for each in span["coverage.functions"]] == ["store_front.goods:price"]
        assert span["coverage.complete"] is True
        assert span["playback.run_id"] == "run-1"
    assert [span["coverage.number"] for span in (entry, second)] == [1, 2]
    assert not answers["has_traced"], "nothing of a playback ended in the worker"
