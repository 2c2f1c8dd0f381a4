"""An application that records its requests, served on a free port."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server
from werkzeug.wrappers import Response as BaseResponse


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    json: Any
    form: dict[str, str]
    files: dict[str, tuple[str | None, bytes]]


@dataclass
class Application:
    """The state of the application.

    Attributes:
        requests: all requests except polls.
        polls: job id and baggage of each poll.
        final_status: of each job.
        polls_until_final: how often a job answers ``started`` before that.
        traced: whether responses say, as those of a traced application do, that the request was.
        on_request: called with each request that is no poll, before it is answered.
    """

    base_url: str = ""
    requests: list[Received] = field(default_factory=list)
    polls: list[str] = field(default_factory=list)
    final_status: str = "finished"
    polls_until_final: int = 2
    traced: bool = True
    on_request: Callable[[], object] = lambda: None

    @property
    def lines(self) -> list[str]:
        return [f"{each.method} {each.path}" for each in self.requests]


@contextmanager
def serve() -> Iterator[Application]:
    """Serve the application until the end of the block."""
    state = Application()
    app = Flask(__name__)

    @app.before_request
    def record() -> None:
        if not request.path.startswith("/jobs/"):
            state.on_request()
            files = {name: (file.filename, file.read()) for name, file in request.files.items()}
            state.requests.append(
                Received(
                    method=request.method,
                    path=request.full_path.rstrip("?"),
                    headers=dict(request.headers),
                    json=request.get_json(silent=True),
                    form=dict(request.form),
                    files=files,
                )
            )

    @app.after_request
    def acknowledge(response: Response) -> Response:
        profile = re.search(r"playback\.profile=([^,;]+)", request.headers.get("baggage", ""))
        if state.traced and profile is not None and request.path != "/untraced":
            response.headers["X-Profile-Traced"] = profile[1]
        return response

    @app.get("/jobs/<job_id>")
    def job(job_id: str) -> Response:
        state.polls.append(f"{job_id} {request.headers.get('baggage')}")
        count = sum(poll.startswith(f"{job_id} ") for poll in state.polls)
        return jsonify(status="started" if count <= state.polls_until_final else state.final_status)

    @app.post("/enqueue/<job_id>")
    def enqueue(job_id: str) -> Response:
        return jsonify(job_id=job_id)

    @app.post("/orders")
    def order() -> tuple[Response, int]:
        return jsonify(number=7, items=[{"sku": "a/b"}]), 201

    @app.get("/missing")
    def missing() -> tuple[str, int]:
        return "no such thing", 404

    @app.get("/leave")
    def leave() -> BaseResponse:
        return redirect("/untraced")

    @app.get("/login")
    def login() -> BaseResponse:
        response = redirect("/home")
        response.set_cookie("session", "42")
        return response

    @app.route("/", defaults={"rest": ""}, methods=["GET", "POST", "PUT", "DELETE"])
    @app.route("/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    def anything(rest: str) -> Response:
        return jsonify(path=rest)

    with served(app) as state.base_url:
        yield state


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The URL of an application, until the end of the block."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
