"""Threads and tasks of the application that attach a request's context to work for it, as Datasette's writers do."""

from __future__ import annotations

import asyncio
import importlib
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import flask
import pytest
from opentelemetry import context as otel_context
from opentelemetry.context import Context

import otel_coverage
from tests.instrumentation.test_threads import answer, reasons
from tests.support.traced import STORE_FRONT, Spans, functions

GOODS = "store_front.goods:"
PATIENCE = 60.0


@pytest.fixture
def goods(store_front: None) -> ModuleType:
    return importlib.import_module("store_front.goods")


@pytest.fixture(params=[pytest.param("monitoring", marks=pytest.mark.since(3, 12)), "coverage"])
def app(request: pytest.FixtureRequest, spans: Spans, goods: ModuleType) -> flask.Flask:
    app = flask.Flask("contexts")
    settings = {"enabled": True, "source": [STORE_FRONT], "engine": request.param}
    return otel_coverage.instrument(app, tracer_provider=spans.provider, **settings)


@pytest.fixture
def writer() -> Iterator[queue.Queue[Any]]:
    """The work of a thread that serves all requests: each in the context that came with it, as Datasette writes."""
    work: queue.Queue[Any] = queue.Queue()

    def serve() -> None:
        for context, function, done in iter(work.get, None):
            token = otel_context.attach(context)
            try:
                function()
            finally:
                otel_context.detach(token)
                done.set()

    thread = threading.Thread(target=serve)
    thread.start()
    yield work
    work.put(None)
    thread.join()


@pytest.mark.row("context that the application attaches", "thread that serves all requests")
def test_a_thread_that_attaches_the_context_of_a_request_is_recorded_for_it_until_it_detaches_it(
    app: flask.Flask, spans: Spans, goods: ModuleType, writer: queue.Queue[Any]
) -> None:
    def give(function: Callable[[], object], context: Context | None = None) -> None:
        done = threading.Event()
        writer.put((otel_context.get_current() if context is None else context, function, done))
        assert done.wait(PATIENCE)

    def view() -> None:
        give(goods.in_a_thread)
        give(goods.names, Context())  # somebody else's
        goods.tag("here")

    answer(app, view)
    assert functions(spans.only("server")) == {GOODS + "in_a_thread", GOODS + "tag"}
    assert reasons(spans) == []
    assert sys.gettrace() is None


def test_a_thread_goes_on_being_recorded_for_a_request_when_another_ends_whose_context_it_attached_before(
    app: flask.Flask, spans: Spans, goods: ModuleType
) -> None:
    contexts: queue.Queue[Context] = queue.Queue()
    steps = {name: threading.Event() for name in ("attached the first", "began the second", "ended the first")}

    def serve() -> None:
        outer = otel_context.attach(contexts.get(timeout=PATIENCE))
        steps["attached the first"].set()
        inner = otel_context.attach(contexts.get(timeout=PATIENCE))
        goods.in_a_thread()
        steps["began the second"].set()
        assert steps["ended the first"].wait(PATIENCE)
        goods.tag("later")
        otel_context.detach(inner)
        otel_context.detach(outer)

    def first() -> str:
        contexts.put(otel_context.get_current())
        assert steps["began the second"].wait(PATIENCE)
        return ""

    def second() -> str:
        assert steps["attached the first"].wait(PATIENCE)
        contexts.put(otel_context.get_current())
        requesting.join(PATIENCE)
        steps["ended the first"].set()
        thread.join(PATIENCE)
        return ""

    def request(path: str) -> None:
        app.test_client().get(path, headers={"X-Profile-Trace": path.strip("/")}).close()

    app.add_url_rule("/first", view_func=first)
    app.add_url_rule("/second", view_func=second)
    thread = threading.Thread(target=serve)
    requesting = threading.Thread(target=request, args=("/first",))
    thread.start()
    requesting.start()
    request("/second")
    executed = {(span.attributes or {})["playback.profile"]: functions(span) for span in spans.with_role("server")}
    assert executed == {"first": frozenset(), "second": {GOODS + "in_a_thread", GOODS + "tag"}}
    assert reasons(spans) == []


@pytest.mark.row("context that the application attaches", "task of another thread's event loop")
def test_a_task_that_attaches_the_context_of_a_request_is_recorded_for_it_in_each_of_its_steps(
    app: flask.Flask, spans: Spans, goods: ModuleType
) -> None:
    async def perform(work: asyncio.Queue[Any]) -> None:
        while (item := await work.get()) is not None:
            context, done = item
            token = otel_context.attach(context)
            goods.in_a_thread()
            await asyncio.sleep(0)
            goods.tag("next step")
            otel_context.detach(token)
            goods.price("apple")  # for nobody
            done.set()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    work: asyncio.Queue[Any] = asyncio.Queue()
    performing = asyncio.run_coroutine_threadsafe(perform(work), loop)

    def view() -> None:
        done = threading.Event()
        context = otel_context.get_current()
        token = otel_context.attach(Context())
        loop.call_soon_threadsafe(work.put_nowait, (context, done))
        otel_context.detach(token)
        assert done.wait(PATIENCE)

    try:
        answer(app, view)
    finally:
        loop.call_soon_threadsafe(work.put_nowait, None)
        performing.result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert functions(spans.only("server")) == {GOODS + "in_a_thread", GOODS + "tag"}
    assert reasons(spans) == []
