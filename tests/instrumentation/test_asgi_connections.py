"""Connections to real ASGI servers that last: WebSockets, Socket.IO, and servers that are stopped."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.instrumentation.test_leaving import environment as silent_environment
from tests.instrumentation.test_leaving import receiver, spooled, stopped
from tests.support.collector import Collector
from tests.support.commands import wait_until
from tests.support.servers import ASGI_SERVERS, MODULES, serving
from tests.support.traced import STORE_FRONT

ASGI, GOODS = "store_front.asgi:", "store_front.goods:"
TRACED = {"X-Profile-Trace": "chat"}
UVICORN = "uvicorn --port {port} --log-level warning "


def environment(collector: Collector, **others: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        **others,
    }


def websocket(client: httpx.Client, path: str) -> str:
    return str(client.base_url.copy_with(scheme="ws")).rstrip("/") + path


@pytest.mark.row("WebSocket")
@pytest.mark.parametrize(
    ("server", "framework"),
    [
        pytest.param(UVICORN, "FastAPI", id="uvicorn, FastAPI"),
        pytest.param(UVICORN, "Quart", id="uvicorn, Quart"),
        pytest.param("hypercorn --bind 127.0.0.1:{port} ", "Starlette", id="hypercorn, Starlette"),
    ],
)
def test_a_websocket_connection_is_one_entry_and_what_it_executes_arrives_while_it_lasts(
    server: str, framework: str, collector: Collector
) -> None:
    settings = environment(collector, OTEL_COVERAGE_PARTIAL_INTERVAL="0.5")
    with serving(server + MODULES[framework], **settings) as client:
        with connect(websocket(client, "/greetings"), additional_headers=TRACED) as connection:
            assert connection.response is not None
            assert connection.response.headers["X-Profile-Traced"] == "chat"
            connection.send("apple")
            assert connection.recv() == "apple "
            (early,) = collector.wait_for_roles("part")[:1]
            assert GOODS + "tag" in early.functions
            assert early.attributes["coverage.partial"] is True
        (entry,) = collector.wait_for_roles("server")
    spans = [span for span in collector.spans if span.attributes.get("playback.profile") == "chat"]
    assert {span.role for span in spans} <= {"server", "part", "counts"}, "a span for each message"
    view = MODULES[framework].removesuffix("app") + "greetings"
    assert frozenset().union(*(span.functions for span in spans)) == {
        *(ASGI + name for name in ("Middleware.__call__", "greet")),
        GOODS + "tag",
        view,
    }
    assert entry.attributes["coverage.complete"] is True
    assert entry.attributes["http.route"] == "/greetings"


@pytest.mark.row("Socket.IO")
@pytest.mark.parametrize("transport", ["WebSocket", "polling"])
@pytest.mark.parametrize(
    ("command", "handlers"),
    [
        pytest.param(
            UVICORN + "store_front.asgi.with_socketio:app", "store_front.asgi.with_socketio:", id="python-socketio"
        ),
        pytest.param(
            "gunicorn --bind 127.0.0.1:{port} --threads 20 store_front.with_socketio:app",
            "store_front.with_socketio:",
            id="Flask-SocketIO",
        ),
    ],
)
def test_handlers_of_socketio_are_recorded(command: str, handlers: str, transport: str, collector: Collector) -> None:
    with serving(command, **environment(collector)) as client:
        assert (by_websocket if transport == "WebSocket" else by_polling)(client).endswith('["apple "]')
        spans = collector.wait_for(lambda spans: any(handlers + "greet" in span.functions for span in spans))
        executed = frozenset().union(*(span.functions for span in spans))
    assert {handlers + "connect", handlers + "greet", GOODS + "tag"} <= executed


def by_websocket(client: httpx.Client) -> str:
    """The answer of the handler ``greet``, in the protocol of Socket.IO 5."""
    url = websocket(client, "/socket.io/?EIO=4&transport=websocket")
    with connect(url, additional_headers=TRACED) as connection:
        connection.recv()
        connection.send("40")
        connection.recv()
        connection.send('420["greet","apple"]')
        return str(connection.recv())


def by_polling(client: httpx.Client) -> str:
    """The same, each request with the header, as browsers do that are told to."""
    parameters = {"EIO": "4", "transport": "polling"}

    def poll(content: str | None = None) -> str:
        method = "GET" if content is None else "POST"
        return client.request(method, "/socket.io/", params=parameters, headers=TRACED, content=content).text

    parameters["sid"] = json.loads(poll()[1:])["sid"]
    poll("40")
    poll()
    poll('420["greet","apple"]')
    return poll()


@pytest.mark.row("ASGI server that is stopped while the collector is silent")
@pytest.mark.parametrize(
    ("server", "number"),
    [
        pytest.param(server, number, id=f"{server}-{number.name}")
        for server in ASGI_SERVERS
        for number in (signal.SIGTERM, signal.SIGINT)
        # its worker does not answer gunicorn's SIGQUIT, with or without us, and is killed after half a minute
        if "--reload" not in server and (server, number) != ("gunicorn uvicorn worker", signal.SIGINT)
    ],
)
def test_an_asgi_server_that_is_stopped_leaves_what_has_ended_in_the_spool_and_waits_for_nobody(
    server: str, number: signal.Signals, state_home: Path
) -> None:
    command = ASGI_SERVERS[server].replace("APP", MODULES["FastAPI"])
    with (
        receiver("silent") as endpoint,
        stopped(command, number, **silent_environment(endpoint)) as (client, codes),
    ):
        assert client.get("/goods", headers=TRACED).text == "apple, pear"
    wait_until(lambda: "GET /goods" in spooled(state_home))
    assert len(codes) == 1


@pytest.mark.row("ASGI server that answers while the collector is silent", "uvicorn")
def test_a_collector_that_does_not_answer_blocks_no_event_loop(collector: Collector) -> None:
    settings = environment(collector, OTEL_EXPORTER_OTLP_TIMEOUT="600")
    with serving(UVICORN + MODULES["FastAPI"], **settings) as client, collector.silence() as asked:
        client.get("/goods", headers=TRACED)
        assert asked.wait(60)
        began = time.monotonic()
        for _ in range(3):
            assert client.get("/goods", headers=TRACED).text == "apple, pear"
        assert time.monotonic() - began < 30
