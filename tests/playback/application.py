"""An application that records its requests, served on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
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
    """

    base_url: str = ""
    requests: list[Received] = field(default_factory=list)
    polls: list[str] = field(default_factory=list)
    final_status: str = "finished"
    polls_until_final: int = 2

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

    @app.get("/login")
    def login() -> BaseResponse:
        response = redirect("/home")
        response.set_cookie("session", "42")
        return response

    @app.route("/", defaults={"rest": ""}, methods=["GET", "POST", "PUT", "DELETE"])
    @app.route("/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    def anything(rest: str) -> Response:
        return jsonify(path=rest)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    state.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
