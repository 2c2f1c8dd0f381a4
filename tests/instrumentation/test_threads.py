"""Threads that a request starts and tasks that it submits belong to it, also where it ends before them."""

from __future__ import annotations

import _thread
import asyncio
import functools
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from types import ModuleType
from typing import Any

import flask
import pytest
from opentelemetry import context as otel_context

import otel_coverage
from otel_coverage.tracing import recorder
from otel_coverage.tracing.log import log
from tests.support.commands import wait_until
from tests.support.traced import STORE_FRONT, Spans, functions

GOODS = "store_front.goods:"
PATIENCE = 60.0


@pytest.fixture
def goods(store_front: None) -> ModuleType:
    return importlib.import_module("store_front.goods")


@pytest.fixture
def app(spans: Spans, goods: ModuleType) -> flask.Flask:
    app = flask.Flask("threads")
    otel_coverage.instrument(app, tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
    return app


@pytest.fixture
def hold() -> Iterator[threading.Event]:
    """Threads wait for it; it is set at the end of the test in any case."""
    event = threading.Event()
    yield event
    event.set()


def answer(app: flask.Flask, view: Callable[[], object], profile: str = "checkout") -> None:
    """Make a request, and return when it has ended."""
    app.view_functions["view"] = lambda: str(view())
    if not any(rule.endpoint == "view" for rule in app.url_map.iter_rules()):
        app.add_url_rule("/", "view")
    response = app.test_client().get("/", headers={"X-Profile-Trace": profile}, buffered=True)
    response.close()
    assert response.status_code == 200


def reasons(spans: Spans) -> list[str]:
    """The details of incompleteness on all spans."""
    attributes = [span.attributes or {} for span in spans.ended]
    return [
        str(found["coverage.incomplete_detail"]) for found in attributes if not found.get("coverage.complete", True)
    ]


@pytest.mark.row("thread", "run() method")
def test_a_thread_with_a_run_of_its_own_belongs_to_its_request(
    app: flask.Flask, spans: Spans, goods: ModuleType
) -> None:
    class Taster(threading.Thread):
        def run(self) -> None:
            goods.in_a_thread()

    def view() -> None:
        taster = Taster()
        taster.start()
        taster.join()
        assert "run" not in vars(taster)

    answer(app, view)
    assert functions(spans.only("server")) == {GOODS + "in_a_thread"}


@pytest.mark.row("thread", "callback of a future")
@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
def test_what_a_future_calls_when_it_is_done_belongs_to_the_request_that_asked_for_it(
    is_done: bool, app: flask.Flask, spans: Spans, goods: ModuleType
) -> None:
    future: Future[None] = Future()  # the pool's thread, or whoever else completes it, calls back
    completer = threading.Thread(target=lambda: future.set_result(None))

    def view() -> None:
        if is_done:
            future.set_result(None)
        future.add_done_callback(lambda _: goods.tag("done"))

    answer(app, view)
    if not is_done:
        assert functions(spans.only("server")) == set()
        completer.start()
        completer.join()
        wait_until(lambda: len(spans.ended) == 2)
    executed = frozenset().union(*(functions(span) for span in spans.ended))
    assert executed == {GOODS + "tag"}
    assert reasons(spans) == []


def wait_and_tag(hold: threading.Event, goods: ModuleType) -> None:
    hold.wait(PATIENCE)
    goods.tag("late")


def as_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work).start()


def as_daemon(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def as_bare_thread(work: Callable[[], None]) -> None:
    _thread.start_new_thread(work, ())


def as_timer(work: Callable[[], None]) -> None:
    threading.Timer(0.0, work).start()


def as_task(work: Callable[[], None]) -> None:
    executor = ThreadPoolExecutor(1)
    executor.submit(work)
    executor.shutdown(wait=False)


def as_thread_of_a_thread(work: Callable[[], None]) -> None:
    as_thread(functools.partial(as_thread, work))


@pytest.mark.row("thread that outlives its request")
@pytest.mark.parametrize(
    "start",
    [
        pytest.param(as_thread, id="Thread"),
        pytest.param(as_daemon, id="daemon"),
        pytest.param(as_bare_thread, id="start_new_thread"),
        pytest.param(as_timer, id="Timer"),
        pytest.param(as_task, id="ThreadPoolExecutor"),
        pytest.param(as_thread_of_a_thread, id="thread of a thread"),
    ],
)
def test_what_outlives_its_request_is_written_to_parts_when_it_is_done(
    start: Callable[[Callable[[], None]], None],
    app: flask.Flask,
    spans: Spans,
    goods: ModuleType,
    hold: threading.Event,
) -> None:
    def view() -> None:
        goods.names()
        start(functools.partial(wait_and_tag, hold, goods))

    answer(app, view)
    assert spans.functions() == {GOODS + "names"}
    answer(app, lambda: goods.price("apple"), "another")
    hold.set()
    wait_until(lambda: GOODS + "tag" in spans.functions())
    (part,) = spans.with_role("part")
    assert functions(part) == {GOODS + "tag"}
    first, second = spans.with_role("server")
    assert part.parent is not None
    assert first.context is not None
    assert part.parent.span_id == first.context.span_id
    assert functions(second) == {GOODS + "price"}
    assert reasons(spans) == []
    wait_until(lambda: not installed().is_recording)


def test_what_the_event_loop_of_another_thread_executes_for_a_request_is_written_to_parts_when_it_is_done(
    app: flask.Flask, spans: Spans, goods: ModuleType
) -> None:
    loop = asyncio.new_event_loop()
    elsewhere = threading.Thread(target=loop.run_forever)
    elsewhere.start()
    may_go_on = asyncio.Event()

    async def late() -> None:
        await may_go_on.wait()
        await goods.one_later("pear")

    answer(app, lambda: asyncio.run_coroutine_threadsafe(late(), loop) and goods.names())
    assert spans.functions() == {GOODS + "names"}
    assert installed().is_recording
    loop.call_soon_threadsafe(may_go_on.set)
    wait_until(lambda: not installed().is_recording)
    wait_until(lambda: spans.functions() == {GOODS + "names", GOODS + "one_later", GOODS + "tag"})
    assert reasons(spans) == []
    loop.call_soon_threadsafe(loop.stop)
    elsewhere.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_a_thread_that_goes_on_is_followed_for_a_while_and_then_makes_its_request_incomplete(
    app: flask.Flask, spans: Spans, goods: ModuleType, hold: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "DRAIN_SECONDS", 0.05)
    waiting = threading.Event()

    class Hold:
        def wait(self, seconds: float) -> None:
            waiting.set()
            hold.wait(seconds)

    def view() -> None:
        as_daemon(functools.partial(goods.taste, Hold()))
        assert waiting.wait(PATIENCE)

    answer(app, view)
    wait_until(lambda: reasons(spans))
    assert not installed().is_recording
    assert spans.functions() == {GOODS + "taste", GOODS + "tag"}
    (reason,) = reasons(spans)
    assert reason.startswith("a thread that it started was still running more than")


def test_a_thread_that_runs_library_code_only_makes_no_request_incomplete(
    app: flask.Flask, spans: Spans, hold: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "DRAIN_SECONDS", 0.05)
    answer(app, lambda: as_daemon(hold.wait))  # type: ignore[arg-type]
    wait_until(lambda: not installed().is_recording)
    assert reasons(spans) == []


@pytest.mark.row("thread", "task of a pool")
def test_a_request_does_not_wait_for_the_threads_of_a_pool(app: flask.Flask, spans: Spans, goods: ModuleType) -> None:
    pool = ThreadPoolExecutor(1)
    answer(app, lambda: pool.submit(goods.tag, "x").result())
    assert not installed().is_recording
    assert functions(spans.only("server")) == {GOODS + "tag"}
    pool.shutdown()


def test_a_request_does_not_wait_for_a_cancelled_task(
    app: flask.Flask, spans: Spans, goods: ModuleType, hold: threading.Event
) -> None:
    pool = ThreadPoolExecutor(1)
    pool.submit(hold.wait, PATIENCE)

    def view() -> None:
        assert pool.submit(goods.tag, "x").cancel()

    answer(app, view)
    assert not installed().is_recording
    assert reasons(spans) == []
    hold.set()
    pool.shutdown()


@pytest.mark.row("thread", "task that begins after its request")
def test_a_task_that_begins_after_its_request_makes_it_incomplete(
    app: flask.Flask, spans: Spans, goods: ModuleType, hold: threading.Event
) -> None:
    with ThreadPool(1) as pool:
        pool.apply_async(hold.wait, (PATIENCE,))
        answer(app, lambda: pool.map_async(goods.tag, ["x"]))
        assert not installed().is_recording
        hold.set()
        pool.close()
        pool.join()
    assert ["after the entry was closed" in reason for reason in reasons(spans)] == [True]


def test_a_thread_that_cannot_start_leaves_nothing_open(
    app: flask.Flask, spans: Spans, goods: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("can't start new thread")

    name = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"

    def view() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading, name, refuse)
            with pytest.raises(RuntimeError):
                as_thread(goods.names)

    answer(app, view)
    assert not installed().is_recording
    assert reasons(spans) == []


def test_a_failure_in_the_hooks_fails_no_thread_and_no_task_and_marks_their_entry(
    app: flask.Flask, spans: Spans, goods: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("ours")

    def view() -> None:
        thread = threading.Thread(target=goods.in_a_thread)
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(goods.price, "apple").result() == 3

    monkeypatch.setattr("otel_coverage.instrumentation.threads.PendingWork", fails)
    answer(app, view)
    assert log.counts["failures"] >= 2
    assert not installed().is_recording
    assert any("could not be followed" in reason for reason in reasons(spans))


def test_a_thread_started_outside_of_any_entry_is_left_alone(app: flask.Flask, goods: ModuleType) -> None:
    answer(app, lambda: "")
    thread = threading.Thread(target=goods.names)
    thread.start()
    assert "run" not in vars(thread)
    thread.join()
    assert otel_context.get_current() == {}


def installed() -> recorder.Recorder:
    found = recorder.installed()
    assert found is not None
    return found
