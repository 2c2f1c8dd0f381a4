"""WSGI servers, each as its users start it, on a UNIX socket or a free port."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.commands import PATIENCE, RUN, running, wait_for_answer

# arguments of ``otel-coverage run --``
SERVERS = {
    "gunicorn sync": "gunicorn --bind unix:{socket} -k sync -w 2 wsgi:app",
    "gunicorn gthread": "gunicorn --bind unix:{socket} -k gthread --threads 8 wsgi:app",
    "gunicorn gevent": "gunicorn --bind unix:{socket} -k gevent --timeout 600 wsgi:app",
    "gunicorn gthread --preload": "gunicorn --bind unix:{socket} --preload --threads 8 wsgi:app",
    "gunicorn gevent --preload": "gunicorn --bind unix:{socket} --preload -k gevent --timeout 600 wsgi:app",
    "waitress": "waitress-serve --listen=127.0.0.1:{port} --threads=8 wsgi:app",
    "development server": "flask --app wsgi run --port {port}",
    "development server --reload": "flask --app wsgi run --port {port} --reload",
    "uwsgi threads": "pyuwsgi --http-socket 127.0.0.1:{port} --module wsgi:app --threads 8 --master --die-on-term",
    "uwsgi processes": (
        "pyuwsgi --http-socket 127.0.0.1:{port} --module wsgi:app --enable-threads --processes 2 --master --die-on-term"
    ),
    "uwsgi lazy": (
        "pyuwsgi --http-socket 127.0.0.1:{port} --module wsgi:app --enable-threads --lazy-apps --processes 2 --master "
        "--die-on-term"
    ),
}

NO_KEPT = httpx.Limits(max_keepalive_connections=0)  # a server may close a connection that is about to be used again


@contextmanager
def serving(command: str, run: Sequence[str] = RUN, **environment: str) -> Iterator[httpx.Client]:
    """An HTTP client of the server that ``command`` starts; {socket} and {port} in it are replaced."""
    with tempfile.TemporaryDirectory(prefix="web-") as folder:  # a socket's path may have 107 bytes at most
        path, port = Path(folder, "socket"), free_port()
        words = command.format(socket=path, port=port).split()
        if words[0] == "gunicorn":
            words.insert(1, "--no-control-socket")
        transport = httpx.HTTPTransport(uds=str(path) if "{socket}" in command else None, limits=NO_KEPT)
        with (
            running([*run, *words], **environment) as process,
            httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
        ):
            wait_for_answer(client, process)
            yield client


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
