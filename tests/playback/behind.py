"""An application behind the proxy: what it got is what it answers, on a server that shares nothing with the proxy."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

LARGE = 50 * 1024 * 1024
PIECE = b"0123456789abcdef" * 4096


@dataclass
class Behind:
    """The application.

    Attributes:
        host: with its port.
        gates: an event stream goes on to its next event when its gate is opened.
        closed: codes with which WebSockets were closed.
        waiting: gates that a slow answer waits for.
        bodies: of logins.
        stop: ends it.
    """

    host: str
    gates: dict[str, threading.Event] = field(default_factory=dict)
    closed: list[int] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://{self.host}"


@contextmanager
def behind() -> Iterator[Behind]:
    """Serve it until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        state = Behind(f"127.0.0.1:{listening.getsockname()[1]}")
        config = uvicorn.Config(_application(state), log_level="critical", lifespan="off", ws_ping_interval=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()

        def stop() -> None:
            server.should_exit = server.force_exit = True
            for gate in state.gates.values():
                gate.set()
            thread.join()
            listening.close()

        state.stop = stop
        try:
            yield state
        finally:
            stop()


def _application(state: Behind) -> Starlette:
    async def echo(request: Request) -> Response:
        """The request as it came; a status, headers and a body on demand."""
        wanted = request.query_params
        length = 0
        async for chunk in request.stream():
            length += len(chunk)
        raw = request.scope["raw_path"].decode()
        answer = {"method": request.method, "path": raw, "headers": request.headers.items(), "length": length}
        headers = json.loads(wanted.get("headers", "[]"))
        status = int(wanted.get("status", 200))
        content = b"" if status in (204, 304) else json.dumps(answer).encode()
        response = Response(content, status, media_type="application/json" if content else None)
        for name, value in headers:
            response.headers.append(name, value)
        if "bare" in wanted:
            del response.headers["content-type"]
        return response

    async def page(request: Request) -> Response:
        text = f"<a href='{wanted}/next'>on</a>" if (wanted := request.query_params.get("link")) else "<p>here</p>"
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/html", "Vary": "Accept-Encoding"}
        return Response(gzip.compress(text.encode()), headers=headers)

    async def large(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(LARGE // len(PIECE)):
                yield PIECE

        headers = {"Content-Length": str(LARGE)} if "length" in request.query_params else {}
        return StreamingResponse(pieces(), media_type="application/octet-stream", headers=headers)

    async def events(request: Request) -> Response:
        gate = state.gates.setdefault(request.query_params["gate"], threading.Event())

        async def lines() -> AsyncIterator[str]:
            yield "data: first\n\n"
            while not gate.is_set():
                await asyncio.sleep(0.01)
            yield "data: second\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    async def slow(request: Request) -> Response:
        name = request.query_params["gate"]
        gate = state.gates.setdefault(name, threading.Event())
        state.waiting.add(name)
        while not gate.is_set():
            await asyncio.sleep(0.01)
        return Response("at last")

    async def broken(request: Request) -> Response:
        async def lines() -> AsyncIterator[str]:
            yield "half of it"
            raise ConnectionResetError

        return StreamingResponse(lines(), media_type="text/plain")

    async def messages(websocket: WebSocket) -> None:
        """Send back what comes; the text ``close`` closes, with a code of the application's."""
        if websocket.query_params.get("refuse"):
            await websocket.close()
            return
        wanted = websocket.scope["subprotocols"]
        await websocket.accept(wanted[-1] if wanted else None)
        seen = {name: websocket.headers.get(name) for name in ("host", "origin", "cookie")}
        await websocket.send_text(json.dumps(seen))
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                state.closed.append(message["code"])
                return
            if message.get("text") == "close":
                await websocket.close(4711, "enough")
                return
            await websocket.send(
                {
                    **{key: message[key] for key in ("text", "bytes") if message.get(key) is not None},
                    "type": "websocket.send",
                }
            )

    async def login(request: Request) -> Response:
        state.bodies.append(await request.body())
        response = JSONResponse({"ok": True})
        response.set_cookie("session", "of-today", domain="shop.example", secure=True, samesite="none")
        return response

    every = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            WebSocketRoute("/messages", messages),
            Route("/page", page),
            Route("/large", large),
            Route("/events", events),
            Route("/broken", broken),
            Route("/slow", slow),
            Route("/login", login, methods=["POST"]),
            Route("/{path:path}", echo, methods=every),
        ]
    )
