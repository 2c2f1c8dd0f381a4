"""Applications of ASGI frameworks: the whole request is recorded in its entry, whatever serves it."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
from typing import Any

import httpx
import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry.trace import SpanKind, StatusCode

import otel_coverage
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder, installed
from tests.support.traced import RECORDING, STORE_FRONT, Spans, functions

pytestmark = pytest.mark.usefixtures("store_front")

TRACED = {"X-Profile-Trace": "checkout"}
ASGI, GOODS = "store_front.asgi:", "store_front.goods:"
FASTAPI, STARLETTE, QUART = (f"store_front.asgi.with_{name}:" for name in ("fastapi", "starlette", "quart"))
MODULES = {"FastAPI": FASTAPI, "Starlette": STARLETTE, "Quart": QUART}
MIDDLEWARE = {ASGI + "Middleware.__call__"}


def create_app(framework: str) -> Any:
    return importlib.import_module(MODULES[framework].rstrip(":")).create_app()


def equipped(spans: Spans) -> Any:
    spans.provider.add_span_processor(otel_coverage.CoverageSpanProcessor(RECORDING, tracer_provider=spans.provider))
    return spans.provider


def instrument(app: object, spans: Spans, **settings: Any) -> None:
    otel_coverage.instrument(app, tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT], **settings)


def get(application: Any, path: str = "/goods", **headers: str) -> httpx.Response:
    """The response to a traced request; returns when the application has, its background tasks included."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test:8000") as client:
            return await client.get(path, headers={**TRACED, **headers})

    return asyncio.run(ask())


def is_complete(spans: Spans) -> bool:
    return all((span.attributes or {}).get("coverage.complete", True) for span in spans.ended)


@pytest.mark.row("ASGI application")
@pytest.mark.parametrize("framework", MODULES)
@pytest.mark.parametrize("way", ["instrument(app)", "AsgiCoverageMiddleware", "instrument()"])
def test_a_request_is_recorded_with_the_middlewares_around_its_view(framework: str, way: str, spans: Spans) -> None:
    if way == "instrument()":
        instrument(None, spans)
    application = create_app(framework)
    if way == "instrument(app)":
        instrument(application, spans)
    elif way == "AsgiCoverageMiddleware":
        application = otel_coverage.AsgiCoverageMiddleware(application, RECORDING, tracer_provider=equipped(spans))
    untraced = get(application, **{"X-Profile-Trace": "No Slug"})  # the first has Starlette make its middlewares
    assert "X-Profile-Traced" not in untraced.headers
    spans.clear()
    response = get(application)
    assert response.text == "apple, pear"
    assert response.headers["X-Profile-Traced"] == "checkout"
    entry = spans.only("server")
    assert functions(entry) == {*MIDDLEWARE, MODULES[framework] + "list_goods", GOODS + "names"}
    if (way, framework) != ("AsgiCoverageMiddleware", "Quart"):  # Quart does not say it to what is around it
        assert (entry.attributes or {})["http.route"] == "/goods"
        assert entry.name == "GET /goods"
    assert is_complete(spans)


def traced_app(framework: str, spans: Spans, **settings: Any) -> Any:
    """Its application, which has answered a request already."""
    app = create_app(framework)
    instrument(app, spans, **settings)
    get(app, **{"X-Profile-Trace": "No Slug"})
    spans.clear()
    return app


@pytest.mark.row("ASGI request")
@pytest.mark.parametrize(
    ("framework", "path", "text", "executed"),
    [
        pytest.param(
            "FastAPI",
            "/depends",
            "3",
            {FASTAPI + "depends", FASTAPI + "in_a_thread", GOODS + "in_a_thread", GOODS + "on_close", GOODS + "price"},
            id="FastAPI, dependencies and view in threads",
        ),
        *(
            pytest.param(
                framework,
                "/stream",
                "apple pear ",
                {MODULES[framework] + "stream", ASGI + "one_by_one", GOODS + "names", GOODS + "tag"},
                id=f"{framework}, streamed body",
            )
            for framework in MODULES
        ),
        *(
            pytest.param(
                framework,
                "/gathered",
                "apple , pear ",
                {
                    *({MODULES[framework] + "gathered"} if framework != "FastAPI" else ()),
                    ASGI + "gathered",
                    GOODS + "names_later",
                    GOODS + "one_later",
                    GOODS + "tag",
                },
                id=f"{framework}, tasks and threads of its own",
            )
            for framework in MODULES
        ),
        pytest.param(
            "FastAPI",
            "/background",
            "later",
            {FASTAPI + "background", ASGI + "after_response", ASGI + "after_response_in_a_thread"}
            | {GOODS + "on_close", GOODS + "in_a_thread"},
            id="FastAPI, background tasks",
        ),
        pytest.param(
            "Starlette",
            "/background",
            "later",
            {STARLETTE + "background", ASGI + "after_response", GOODS + "on_close"},
            id="Starlette, background task",
        ),
        pytest.param(
            "Starlette", "/shop/goods/apple", "3", {STARLETTE + "price", GOODS + "price"}, id="Starlette, mount"
        ),
        pytest.param("Quart", "/goods/apple", "3", {QUART + "price", GOODS + "price"}, id="Quart, view in a thread"),
    ],
)
def test_all_of_a_request_is_recorded(framework: str, path: str, text: str, executed: set[str], spans: Spans) -> None:
    app = traced_app(framework, spans)
    assert get(app, path).text == text
    assert spans.functions() == MIDDLEWARE | executed
    assert is_complete(spans)
    assert not recorder().is_recording


@pytest.mark.row("ASGI request", "exception")
@pytest.mark.parametrize("framework", MODULES)
def test_a_request_that_raises_is_recorded_and_its_span_failed(framework: str, spans: Spans) -> None:
    app = traced_app(framework, spans)
    assert get(app, "/refused").status_code == 500
    assert ASGI + "refuse" in functions(spans.only("server"))
    assert spans.only("server").status.status_code is StatusCode.ERROR
    assert not recorder().is_recording


def recorder() -> Recorder:
    found = installed()
    assert found is not None
    return found


@pytest.mark.row("ASGI request", "background task that takes long")
def test_a_background_task_that_takes_long_is_written_apart_from_its_request(spans: Spans) -> None:
    """What plays it back need not wait: the SERVER span is sent, and a closing part says that this was all."""
    gate = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await answer(scope, receive, send)
        await gate.wait()
        goods = importlib.import_module("store_front.goods")
        goods.on_close()

    async def play() -> None:
        served = asyncio.create_task(serve(around(application, spans), send=ignore))
        while not spans.with_role("server"):
            await asyncio.sleep(0.02)
        assert (spans.only("server").attributes or {})["coverage.open"] is True
        gate.set()
        await served

    asyncio.run(play())
    part = spans.only("part")
    assert functions(part) == {GOODS + "on_close"}
    assert (part.attributes or {})["coverage.closing"] is True


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def ignore(message: Any) -> None:
    pass


async def never() -> Any:
    await asyncio.Event().wait()


def around(application: Any, spans: Spans) -> Any:
    return otel_coverage.AsgiCoverageMiddleware(application, RECORDING, tracer_provider=equipped(spans))


async def serve(application: Any, receive: Any = never, send: Any = ignore, **scope: Any) -> None:
    """Serve one connection as a server does."""
    headers = [(b"x-profile-trace", b"checkout")]
    usual = {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": "/", "headers": headers}
    await application({**usual, **scope}, receive, send)


def test_an_untraced_request_gets_the_servers_own_functions_and_a_lifespan_too(spans: Spans) -> None:
    given: list[Any] = []

    async def application(*connection: Any) -> None:
        given.append(connection)

    served = around(application, spans)
    for scope in ({"type": "lifespan"}, {"headers": [(b"host", b"test")]}):
        asyncio.run(serve(served, **scope))
    assert [connection[1:] for connection in given] == [(never, ignore)] * 2
    assert all("otel_coverage.entry" not in connection[0] for connection in given)
    assert spans.ended == []


@pytest.mark.row("ASGI request", "cancelled by a client that leaves")
def test_a_request_whose_client_leaves_is_closed(spans: Spans) -> None:
    async def leave() -> None:
        task = asyncio.create_task(serve(around(lambda *_: never(), spans)))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(leave())
    assert not recorder().is_recording
    assert is_complete(spans)
    assert len(spans.with_role("server")) == 1


@pytest.mark.row("ASGI request", "thrown away with its event loop")
def test_a_request_that_is_thrown_away_with_its_event_loop_is_closed(spans: Spans) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(serve(around(lambda *_: never(), spans)))
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()
    task.get_coro().close()  # type: ignore[union-attr]
    assert not recorder().is_recording
    assert len(spans.with_role("server")) == 1


@pytest.mark.row("ASGI request", "token")
def test_with_a_token_a_request_has_to_know_it(spans: Spans) -> None:
    app = traced_app("FastAPI", spans, token="secret")
    log.clear()
    assert "X-Profile-Traced" not in get(app).headers
    assert log.counts["refused_requests"] == 1
    assert get(app, **{"X-Profile-Trace-Token": "secret"}).headers["X-Profile-Traced"] == "checkout"
    assert log.counts["refused_requests"] == 1
    assert len(spans.with_role("server")) == 1


@pytest.mark.row("ASGI application")
@pytest.mark.parametrize("adapter", ["by_asgiref", "by_a2wsgi"])
@pytest.mark.parametrize("token", [None, "secret"], ids=["without a token", "with a token"])
def test_flask_behind_an_adapter_is_recorded_once(adapter: str, token: str | None, spans: Spans) -> None:
    adapted = importlib.import_module("store_front.asgi.adapted")
    instrument(adapted.flask_app, spans, token=token)
    settings = dataclasses.replace(RECORDING, token=token)
    application = otel_coverage.AsgiCoverageMiddleware(
        getattr(adapted, adapter), settings, tracer_provider=spans.provider
    )
    log.clear()
    response = get(application, **{"X-Profile-Trace-Token": "secret"})
    assert response.text == "apple, pear"
    assert response.headers.get_list("X-Profile-Traced") == ["checkout"]
    entry = spans.only("server")
    assert functions(entry) == {
        "store_front.web:Middleware.__call__",
        "store_front.web:before",
        "store_front.web:list_goods",
        "store_front.web:torn_down",
        GOODS + "names",
        GOODS + "put_back",
    }
    assert (entry.attributes or {})["http.route"] == "/goods"
    assert is_complete(spans)
    assert log.counts["refused_requests"] == 0


@pytest.mark.row("code of the application outside of the recording", "ASGI middleware")
def test_a_middleware_outside_of_the_recording_makes_the_entry_incomplete(spans: Spans) -> None:
    app = traced_app("Starlette", spans)
    get(importlib.import_module("store_front.asgi").Middleware(app))
    attributes = spans.only("server").attributes or {}
    assert attributes["coverage.incomplete_reason"] == "middleware_outside"
    assert "AsgiCoverageMiddleware" in str(attributes["coverage.incomplete_detail"])


@pytest.mark.row("ASGI request", "tasks that outlive it")
def test_tasks_that_outlive_a_request_and_the_tasks_that_they_leave_behind_are_recorded_in_it(spans: Spans) -> None:
    """As Quart's background tasks do, and the handlers of Socket.IO where the client polls."""
    left: list[asyncio.Task[Any]] = []
    instrument(None, spans)
    has_ended = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        asgi = importlib.import_module("store_front.asgi")
        left.append(asyncio.create_task(first(asgi)))
        await answer(scope, receive, send)

    async def first(asgi: Any) -> None:
        await has_ended.wait()
        left.append(asyncio.create_task(asgi.after_response()))

    async def play() -> None:
        await serve(around(application, spans))
        assert recorder().is_recording
        has_ended.set()
        await left[0]
        await left[1]
        await asyncio.sleep(0)

    asyncio.run(play())
    assert not recorder().is_recording
    assert {ASGI + "after_response", GOODS + "on_close"} <= spans.functions()
    assert is_complete(spans)
    assert [(span.attributes or {}).get("coverage.closing") for span in spans.with_role("part")] == [True]


@pytest.mark.row("ASGI request", "Quart, background task")
def test_a_background_task_of_quart_belongs_to_its_request(spans: Spans) -> None:
    app = traced_app("Quart", spans)

    async def play() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test:80") as client:
            await client.get("/background", headers=TRACED)
            while recorder().is_recording:
                await asyncio.sleep(0.01)

    asyncio.run(play())
    assert spans.functions() == MIDDLEWARE | {QUART + "background", ASGI + "after_response", GOODS + "on_close"}
    assert is_complete(spans)


@pytest.mark.row("ASGI request", "framework that makes a SERVER span of its own")
def test_a_request_with_a_second_server_span_is_one_entry_until_its_background_tasks_are_done(spans: Spans) -> None:
    from store_front import goods  # type: ignore[import-not-found]

    async def application(scope: Any, receive: Any, send: Any) -> None:
        context = propagate.extract({key.decode(): value.decode() for key, value in scope["headers"]})
        token = otel_context.attach(context)
        span = spans.provider.get_tracer("framework").start_span("GET", context, SpanKind.SERVER)
        goods.price("apple")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        span.end()
        await asyncio.sleep(0)
        goods.names()
        otel_context.detach(token)

    get(otel_coverage.AsgiCoverageMiddleware(application, RECORDING, tracer_provider=equipped(spans)))
    assert functions(spans.only("server")) == {GOODS + "price", GOODS + "names"}
    assert is_complete(spans)
