"""An application that remembers what it was asked, served on a free port."""

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
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    json: Any
    form: dict[str, str]
    files: dict[str, tuple[str | None, bytes]]


@dataclass
class Application:
    """Its address, what it was asked, and how often each job answers ``started`` before its last word."""

    base_url: str = ""
    asked: list[Asked] = field(default_factory=list)
    polls: list[str] = field(default_factory=list)
    last_word: str = "finished"
    patience: int = 2

    @property
    def lines(self) -> list[str]:
        return [f"{asked.method} {asked.path}" for asked in self.asked]


@contextmanager
def serving() -> Iterator[Application]:
    """Serve until the end of the block."""
    state = Application()
    app = Flask(__name__)

    @app.before_request
    def remember() -> None:
        if not request.path.startswith("/jobs/"):
            files = {name: (file.filename, file.read()) for name, file in request.files.items()}
            state.asked.append(
                Asked(
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
        asked = sum(poll.startswith(f"{job_id} ") for poll in state.polls)
        return jsonify(status="started" if asked <= state.patience else state.last_word)

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
        answer = redirect("/home")
        answer.set_cookie("session", "42")
        return answer

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
