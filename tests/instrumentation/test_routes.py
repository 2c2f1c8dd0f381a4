"""What processes tell of themselves: the URL maps that they serve, and the functions that they queue as jobs."""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
import werkzeug
from fastapi import APIRouter, FastAPI, WebSocket
from flask.views import MethodView, View
from redis import Redis
from rq import Queue
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute

import otel_coverage
from otel_coverage.instrumentation.environment import command_name
from otel_coverage.instrumentation.routes.register import Register
from otel_coverage.tracing.recorder import installed
from tests.support.collector import Collector
from tests.support.commands import RUN, running, wait_until
from tests.support.servers import SERVERS, serving, serving_asgi
from tests.support.traced import STORE_FRONT, Spans

HERE = str(Path(__file__).parent)
TRACED = {"X-Profile-Trace": "checkout"}


def instrument(app: Any, spans: Spans) -> None:
    otel_coverage.instrument(app, tracer_provider=spans.provider, enabled=True, source=[HERE])


def told(spans: Spans) -> dict[str, tuple[str, str]]:
    """What was told so far: entry point → endpoint and the view's name."""
    return {
        f"{method} {rule}".lstrip(): (endpoint, symbol.rpartition(":")[2].rpartition("@")[0])
        for kind, method, rule, endpoint, symbol in spans.routes()
        if kind == "request"
    }


def names(spans: Spans) -> list[tuple[str, str]]:
    """The entry point of each traced request, and its symbol's name."""
    return [
        (
            str((span.attributes or {})["coverage.entry_name"]),
            str((span.attributes or {}).get("coverage.entry_point", "")).rpartition(":")[2].rpartition("@")[0],
        )
        for span in spans.with_role("server")
    ]


def checked(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def call(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return call


def index() -> str:
    return "index"


def show(number: int) -> str:
    return str(number)


class Item(MethodView):
    decorators = [checked]  # noqa: RUF012 - as Flask has it

    def get(self, number: int) -> str:
        return f"got {number}"

    def delete(self, number: int) -> str:
        return f"deleted {number}"


class Page(View):
    methods = ["GET", "POST"]  # noqa: RUF012 - as Flask has it

    def dispatch_request(self) -> str:
        return "page"


class CallableView:
    def __call__(self) -> str:
        return "called"


def make_flask() -> flask.Flask:
    app = flask.Flask("shop", static_folder=None)
    inner, outer = flask.Blueprint("inner", __name__), flask.Blueprint("outer", __name__, url_prefix="/outer")
    inner.add_url_rule("/<int:number>", view_func=show, methods=["GET", "POST"])
    outer.register_blueprint(inner, url_prefix="/inner")
    app.register_blueprint(outer)
    app.add_url_rule("/", view_func=checked(index))
    app.add_url_rule("/items/<int:number>", view_func=Item.as_view("item"))
    app.add_url_rule("/page", view_func=Page.as_view("page"))
    app.add_url_rule("/lambda", "anonymous", lambda: "x")
    app.add_url_rule("/object", "object", CallableView())
    app.add_url_rule("/partial", "partial", functools.partial(show, number=3))
    app.add_url_rule("/of-a-library", "library", flask.url_for)
    return app


FLASK = {
    "GET /outer/inner/<int:number>": ("outer.inner.show", "show"),
    "POST /outer/inner/<int:number>": ("outer.inner.show", "show"),
    "GET /": ("index", "index"),
    "GET /items/<int:number>": ("item", "Item.get"),
    "DELETE /items/<int:number>": ("item", "Item.delete"),
    "GET /page": ("page", "Page.dispatch_request"),
    "POST /page": ("page", "Page.dispatch_request"),
    "GET /lambda": ("anonymous", ""),
    "GET /object": ("object", "CallableView.__call__"),
    "GET /partial": ("partial", "show"),
    "GET /of-a-library": ("library", ""),
}


def test_an_application_of_flasks_tells_its_rules_with_the_functions_that_answer(spans: Spans) -> None:
    app = make_flask()
    instrument(app, spans)
    werkzeug.Client(app).get("/").close()  # not traced
    wait_until(lambda: told(spans))
    assert told(spans) == FLASK


def test_a_request_is_named_by_its_rule_and_the_function_that_answered(spans: Spans) -> None:
    app = make_flask()
    instrument(app, spans)
    client = werkzeug.Client(app)
    for method, path in (
        ("GET", "/"),
        ("POST", "/outer/inner/7"),
        ("DELETE", "/items/7"),
        ("HEAD", "/items/7"),
        ("GET", "/object"),
        ("PUT", "/items/7"),
        ("GET", "/nowhere"),
        ("STRANGE", "/nowhere"),
    ):
        client.open(path, method=method, headers=TRACED, buffered=True).close()
    assert names(spans) == [
        ("GET /", "index"),
        ("POST /outer/inner/<int:number>", "show"),
        ("DELETE /items/<int:number>", "Item.delete"),
        ("HEAD /items/<int:number>", "Item.get"),
        ("GET /object", "CallableView.__call__"),
        ("PUT", ""),
        ("GET", ""),
        ("_OTHER", ""),
    ]
    kinds = {(span.attributes or {})["coverage.entry_kind"] for span in spans.with_role("server")}
    assert kinds == {"request"}


def test_a_request_whose_framework_nothing_looks_into_is_named_by_its_method(spans: Spans) -> None:
    app = make_flask()
    provider = spans.provider
    provider.add_span_processor(otel_coverage.CoverageSpanProcessor(_settings(), tracer_provider=provider))
    wrapped = otel_coverage.CoverageMiddleware(app.wsgi_app, _settings(), tracer_provider=provider)
    werkzeug.Client(wrapped).get("/items/7", headers=TRACED, buffered=True).close()
    # nobody makes Flask's spans here, and nothing of ours is in the application: its route is not known
    assert names(spans) == [("GET", "")]


def _settings() -> Any:
    from otel_coverage.settings import Settings

    return Settings(enabled=True, source=(HERE,))


def test_routes_that_are_added_later_are_told_later_and_alone(spans: Spans) -> None:
    app = make_flask()
    instrument(app, spans)
    werkzeug.Client(app).get("/").close()
    wait_until(lambda: told(spans))
    before = len(spans.routes())
    app.view_functions["later"] = index
    app.url_map.add(werkzeug.routing.Rule("/later", endpoint="later", methods=["GET"]))
    wait_until(lambda: len(spans.routes()) > before)
    assert [route[:4] for route in spans.routes()[before:]] == [["request", "GET", "/later", "later"]]


def test_an_application_that_is_imported_and_not_served_tells_nothing(spans: Spans) -> None:
    instrument(None, spans)
    app = make_flask()
    with app.app_context():
        assert flask.current_app.url_map
    recorder = installed()
    assert recorder is not None
    register = importlib.import_module("otel_coverage.instrumentation.routes.register").installed()
    register.report()
    assert spans.routes() == []


def test_a_forked_child_does_not_tell_again_what_its_parent_has_told(spans: Spans) -> None:
    app = make_flask()
    instrument(app, spans)
    werkzeug.Client(app).get("/").close()
    wait_until(lambda: told(spans))
    register = importlib.import_module("otel_coverage.instrumentation.routes.register").installed()
    before = len(spans.routes())
    child = os.fork()
    if not child:
        try:
            register.report()
            os._exit(int(len(spans.routes()) != before))
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_names_may_be_anything(spans: Spans) -> None:
    hostile = ["script>", '"quotes" and \\', "\u202egnp", "=1+1", "x" * 5_000, "a\tb\nc"]
    app = flask.Flask("shop", static_folder=None)
    for number, name in enumerate(hostile):
        app.add_url_rule(f"/{number}/{name}", f"</script>caf\udce9 {number}", index)
    instrument(app, spans)
    werkzeug.Client(app).get("/nowhere").close()
    wait_until(lambda: len(told(spans)) == len(hostile))
    rules = [route[2] for route in spans.routes()]
    assert rules[:4] == ["/0/script>", '/1/"quotes" and \\', "/2/\u202egnp", "/3/=1+1"]
    assert len(rules[4]) == 1_000
    assert spans.routes()[0][3] == "</script>caf\\udce9 0"
    assert rules[5:] == ["/5/a\tb\nc"]


def test_a_view_that_breaks_when_it_is_looked_at_costs_its_symbol_alone(spans: Spans) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __call__(self) -> str:
            return "broken"

    app = flask.Flask("shop", static_folder=None)
    app.add_url_rule("/", "index", index)
    app.view_functions["broken"] = Broken()
    app.url_map.add(werkzeug.routing.Rule("/broken", endpoint="broken", methods=["GET"]))
    instrument(app, spans)
    werkzeug.Client(app).get("/").close()
    wait_until(lambda: told(spans))
    assert set(told(spans)) == {"GET /", "GET /broken"}


class Endpoint(HTTPEndpoint):
    async def get(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse("got")

    async def put(self, request: Any) -> PlainTextResponse:
        return PlainTextResponse("put")


class Socket(WebSocketEndpoint):
    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_text("received")


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("answer")


async def raw(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("raw")(scope, receive, send)


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def read(number: int) -> int:
    return number


def make_fastapi() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/", checked(index))
    app.add_api_websocket_route("/greet", greet)
    deep, items = APIRouter(prefix="/deep"), APIRouter(prefix="/items")
    deep.add_api_route("/{number}", read)
    items.add_api_route("/{number}", read, methods=["GET", "POST"])
    items.include_router(deep, prefix="/in")
    app.include_router(items, prefix="/api")
    below = Starlette(
        routes=[
            Route("/endpoint", Endpoint),
            Route("/answer", answer, methods=["POST"]),
            WebSocketRoute("/socket", Socket),
            Mount("/raw", app=raw),
            Mount("/router", app=Router([Route("/answer", answer)])),
        ]
    )
    app.mount("/below", below)
    other = FastAPI(openapi_url=None)
    other.add_api_route("/{number}", read)
    app.mount("/other", other)
    return app


FASTAPI = {
    "GET /": ("index", "index"),
    "WEBSOCKET /greet": ("greet", "greet"),
    "GET /api/items/{number}": ("read", "read"),
    "POST /api/items/{number}": ("read", "read"),
    "GET /api/items/in/deep/{number}": ("read", "read"),
    "GET /below/endpoint": ("Endpoint", "Endpoint.get"),
    "PUT /below/endpoint": ("Endpoint", "Endpoint.put"),
    "POST /below/answer": ("answer", "answer"),
    "WEBSOCKET /below/socket": ("Socket", "Socket.on_receive"),
    "/below/raw/{path:path}": ("", ""),
    "GET /below/router/answer": ("answer", "answer"),
    "GET /other/{number}": ("read", "read"),
}


def ask(app: Any, *requests: tuple[str, str], **headers: str) -> None:
    async def all_of_them() -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for method, path in requests:
                await client.request(method, path, headers=headers)

    asyncio.run(all_of_them())


def connect(app: Any, path: str, **headers: str) -> None:
    """Open a WebSocket connection, send a message, and leave."""
    messages = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "ws",
        "subprotocols": [],
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        pass

    asyncio.run(app(scope, receive, send))


def test_an_application_of_fastapis_tells_its_routers_and_what_is_mounted(spans: Spans) -> None:
    app = make_fastapi()
    instrument(app, spans)
    ask(app, ("GET", "/"))  # not traced
    wait_until(lambda: told(spans))
    assert told(spans) == FASTAPI


def test_a_connection_is_named_by_its_whole_path_and_the_function_that_answered(spans: Spans) -> None:
    app = make_fastapi()
    instrument(app, spans)
    requests = [
        ("GET", "/"),
        ("POST", "/api/items/3"),
        ("GET", "/api/items/in/deep/3"),
        ("PUT", "/below/endpoint"),
        ("GET", "/below/raw/some/where"),
        ("GET", "/below/router/answer"),
        ("GET", "/other/3"),
        ("DELETE", "/below/answer"),
        ("GET", "/nowhere"),
    ]
    ask(app, *requests, **TRACED)
    connect(app, "/greet", **TRACED)
    connect(app, "/below/socket", **TRACED)
    assert names(spans) == [
        ("GET /", "index"),
        ("POST /api/items/{number}", "read"),
        ("GET /api/items/in/deep/{number}", "read"),
        ("PUT /below/endpoint", "Endpoint.put"),
        ("GET /below/raw/{path:path}", ""),
        ("GET /below/router/answer", "answer"),
        ("GET /other/{number}", "read"),
        ("DELETE /below/answer", ""),  # refused: its path is known, its method is not
        ("GET", ""),
        ("WEBSOCKET /greet", "greet"),
        ("WEBSOCKET /below/socket", "Socket.on_receive"),
    ]
    routes = [(span.attributes or {}).get("http.route") for span in spans.with_role("server")]
    assert routes == [name.partition(" ")[2] or None for name, _ in names(spans)]


def test_a_route_that_is_added_to_a_mounted_application_is_told_with_its_prefix(spans: Spans) -> None:
    app = Starlette(routes=[Mount("/below", app=(below := Starlette(routes=[Route("/answer", answer)])))])
    instrument(app, spans)
    ask(app, ("GET", "/below/answer"))
    wait_until(lambda: told(spans))
    below.routes.append(Route("/later", answer))
    wait_until(lambda: len(told(spans)) > 1)
    assert told(spans) == {"GET /below/answer": ("answer", "answer"), "GET /below/later": ("answer", "answer")}


def environment(collector: Collector, **more: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        **more,
    }


@pytest.mark.row("routes told by")
@pytest.mark.parametrize("server", ["gunicorn sync", "gunicorn gthread --preload", "gunicorn gevent", "waitress"])
def test_a_wsgi_server_tells_the_routes_of_flask_though_nothing_is_traced(server: str, collector: Collector) -> None:
    with serving(SERVERS[server], **environment(collector)):
        routes = collector.wait_for_routes(lambda routes: any(route[3] == "/goods" for route in routes))
    views = {(route[2], route[3]): route[5].rpartition("@")[0] for route in routes}
    assert views["GET", "/goods"] == "store_front.web:list_goods"
    assert views["GET", "/static/<path:filename>"] == ""
    assert [span for span in collector.spans if span.role] == []


@pytest.mark.row("routes told by")
@pytest.mark.parametrize(
    ("server", "framework"),
    [("uvicorn", "FastAPI"), ("uvicorn", "Starlette"), ("uvicorn", "Quart"), ("hypercorn", "Quart")],
)
def test_an_asgi_server_tells_the_routes_of_its_application_though_nothing_is_traced(
    server: str, framework: str, collector: Collector
) -> None:
    with serving_asgi(server, framework, **environment(collector)):
        routes = collector.wait_for_routes(lambda routes: any(route[3] == "/goods" for route in routes))
    views = {(route[2], route[3]): route[5].rpartition("@")[0] for route in routes}
    module = f"store_front.asgi.with_{framework.lower()}:"
    assert views["GET", "/goods"] == module + "list_goods"
    assert views["WEBSOCKET", "/greetings"] == module + "greetings"
    assert [span for span in collector.spans if span.role] == []


@pytest.mark.row("routes told by", "a worker")
def test_a_worker_tells_the_functions_of_jobs_that_are_not_traced_once(
    collector: Collector, redis: Redis, redis_url: str
) -> None:
    queue = Queue(connection=redis)
    with running([*RUN, "rq", "worker", "--url", redis_url], **environment(collector)):
        # enqueued by who is not instrumented for the job to have no context, but for what a worker queues itself
        jobs = [queue.enqueue("store_front.jobs.pack", "apple") for _ in range(3)]
        wait_until(lambda: all(job.get_status() == "finished" for job in jobs))
        routes = collector.wait_for_routes(lambda routes: any("ship" in route[3] for route in routes))
    assert [route[3].replace(":", ".") for route in routes if route[1] == "job"].count("store_front.jobs.ship") == 1
    assert {route[1] for route in routes} == {"job"}


def test_one_register_tells_each_function_that_is_queued_once(spans: Spans) -> None:
    instrument(None, spans)
    recorder = installed()
    assert recorder is not None
    register = Register(recorder, spans.provider)
    for _ in range(3):
        register.queued("shop.jobs:ship", index, at_once=True)
    register.queued("shop.jobs.label", at_once=True)
    assert [route[:4] for route in spans.routes()] == [
        ["job", "", "shop.jobs:ship", ""],
        ["job", "", "shop.jobs.label", ""],
    ]
    assert spans.routes()[0][4].rpartition(":")[2].startswith("index@")
    register.close()


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["python3.13", "-m", "shop.figures", "--run", "secret"], "python -m shop.figures"),
        (["python", "-mshop.figures"], "python -m shop.figures"),
        (
            ["/usr/bin/python", "-X", "dev", "-W", "error", "-u", "/srv/import_stock.py", "--file", "x"],
            "import_stock.py",
        ),
        (["python", "-c", "print(1)"], "python -c"),
        (["python", "/venv/bin/flask", "import"], "flask"),
        (["python"], "python"),
    ],
)
def test_a_command_is_named_without_its_arguments_and_folders(argv: list[str], name: str) -> None:
    assert command_name(argv) == name
