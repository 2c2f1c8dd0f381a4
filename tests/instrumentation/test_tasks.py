"""Tasks, callbacks and worker threads of a request in an event loop belong to it, also where it ends before them."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread
import pytest
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

import otel_coverage
from otel_coverage.settings import EngineChoice
from otel_coverage.tracing import recorder
from otel_coverage.tracing.context import awaiting_span, with_entry
from otel_coverage.tracing.playback import Playback
from tests.support.commands import PATIENCE, wait_until
from tests.support.traced import STORE_FRONT, Spans, functions

GOODS = "store_front.goods:"
PROFILE = Playback("checkout", "")
ENGINES = [pytest.param("monitoring", marks=pytest.mark.since(3, 12)), "coverage"]


@pytest.fixture(params=ENGINES)
def goods(request: pytest.FixtureRequest, spans: Spans, store_front: None) -> Iterator[ModuleType]:
    engine: EngineChoice = request.param
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT], engine=engine)
    yield importlib.import_module("store_front.goods")
    otel_coverage.uninstrument()


async def answer(spans: Spans, view: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Serve a request, as the hook around an application does."""
    installed = recorder.installed()
    assert installed is not None
    entry = installed.open(PROFILE, SpanKind.SERVER)
    token = otel_context.attach(with_entry(Context(), entry, installed.settings))
    try:
        with awaiting_span(entry), spans.provider.get_tracer("t").start_as_current_span("GET /", kind=SpanKind.SERVER):
            await installed.drive(entry, view())
    finally:
        otel_context.detach(token)
        installed.close(entry)


def is_complete(spans: Spans) -> bool:
    return all((span.attributes or {}).get("coverage.complete", True) for span in spans.ended)


def test_requests_that_take_turns_have_each_its_own_tasks_and_threads(spans: Spans, goods: ModuleType) -> None:
    async def tastes() -> None:
        assert await goods.names_later() == ["apple ", "pear "]

    async def prices() -> None:
        await asyncio.sleep(0)
        await anyio.to_thread.run_sync(goods.price, "apple")

    async def serve_all() -> None:
        await asyncio.gather(*(answer(spans, view) for view in (tastes, prices) * 5))

    asyncio.run(serve_all())
    found = sorted(sorted(functions(span)) for span in spans.with_role("server"))
    assert found == [[GOODS + "names_later", GOODS + "one_later", GOODS + "tag"]] * 5 + [[GOODS + "price"]] * 5
    assert is_complete(spans)


def test_a_task_that_a_request_leaves_behind_is_written_to_parts_when_it_is_done(
    spans: Spans, goods: ModuleType
) -> None:
    async def serve() -> None:
        may_go_on = asyncio.Event()

        async def late() -> None:
            await may_go_on.wait()
            await goods.one_later("pear")

        async def view() -> None:
            goods.names()
            tasks.append(asyncio.create_task(late()))

        tasks: list[asyncio.Task[None]] = []
        await answer(spans, view)
        assert spans.functions() == {GOODS + "names"}
        await answer(spans, prices)
        may_go_on.set()
        await tasks[0]

    async def prices() -> None:
        goods.price("apple")

    asyncio.run(serve())
    wait_until(lambda: spans.with_role("part"))
    assert functions(spans.only("part")) == {GOODS + "one_later", GOODS + "tag"}
    assert is_complete(spans)


def test_a_task_that_goes_on_makes_its_request_incomplete_after_a_while(
    spans: Spans, goods: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "DRAIN_SECONDS", 0.05)

    async def serve() -> None:
        async def view() -> None:
            tasks.append(asyncio.create_task(forever()))
            await asyncio.sleep(0)

        async def forever() -> None:
            await goods.until(stop)

        goods.until = waits  # type: ignore[attr-defined]
        tasks: list[asyncio.Task[None]] = []
        stop = asyncio.Event()
        await answer(spans, view)
        await asyncio.to_thread(wait_until, lambda: not is_complete(spans))
        stop.set()
        await tasks[0]

    namespace: dict[str, Any] = {}
    code = compile("async def waits(event):\n    await event.wait()\n", goods.__file__ or "", "exec")
    exec(code, namespace)
    waits = namespace["waits"]
    asyncio.run(serve())
    details = [str((span.attributes or {}).get("coverage.incomplete_detail")) for span in spans.ended]
    assert any(detail.startswith("a task that it started was still running more than") for detail in details)


def test_task_factories_of_the_application_make_the_tasks(spans: Spans, goods: ModuleType) -> None:
    made: list[object] = []

    class OwnTask(asyncio.Task[Any]):
        pass

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = OwnTask(coroutine, loop=loop, **options)
        made.append(task.get_coro())
        return task

    async def serve() -> None:
        async def view() -> None:
            loop = asyncio.get_running_loop()
            loop.set_task_factory(factory)
            coroutine = goods.one_later("apple")
            task = asyncio.create_task(coroutine)
            assert isinstance(task, OwnTask)
            assert made == [coroutine]
            assert loop.get_task_factory() is factory
            await task

        await answer(spans, view)

    asyncio.run(serve())
    assert functions(spans.only("server")) == {GOODS + "one_later", GOODS + "tag"}
    assert is_complete(spans)


def test_task_groups_of_anyio_belong_to_the_request(spans: Spans, goods: ModuleType) -> None:
    async def view() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(goods.one_later, "apple")
            group.start_soon(anyio.to_thread.run_sync, goods.names)

    asyncio.run(answer(spans, view))
    assert functions(spans.only("server")) == {GOODS + "one_later", GOODS + "tag", GOODS + "names"}
    assert is_complete(spans)


def test_worker_threads_of_anyio_belong_to_no_request(spans: Spans, goods: ModuleType) -> None:
    async def view() -> None:
        await anyio.to_thread.run_sync(goods.names)

    async def serve() -> None:
        await answer(spans, view)
        installed = recorder.installed()
        assert installed is not None
        assert not installed.is_recording  # the thread waits for the next
        await anyio.to_thread.run_sync(goods.price, "apple")  # nobody traces it

    asyncio.run(serve())
    assert spans.functions() == {GOODS + "names"}
    assert is_complete(spans)


def test_what_a_recorded_thread_hands_over_to_the_loop_of_another_belongs_to_its_request(
    spans: Spans, goods: ModuleType
) -> None:
    loop = asyncio.new_event_loop()
    elsewhere = threading.Thread(target=loop.run_forever)
    elsewhere.start()

    async def view() -> None:
        asyncio.run_coroutine_threadsafe(goods.one_later("apple"), loop).result(PATIENCE)
        done = threading.Event()

        def names() -> None:
            goods.names()
            done.set()

        loop.call_soon_threadsafe(names)
        assert done.wait(PATIENCE)

    asyncio.run(answer(spans, view))
    loop.call_soon_threadsafe(loop.stop)
    elsewhere.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    wait_until(lambda: spans.functions() == {GOODS + "one_later", GOODS + "tag", GOODS + "names"})
    assert is_complete(spans)
