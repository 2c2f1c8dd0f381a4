"""WSGI and ASGI servers, each as its users start it, on a UNIX socket or a free port."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import cast

import httpx

from tests.support.commands import NO_KEPT, PATIENCE, RUN, running, wait_for_answer
from tests.support.ports import free_port

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
        # a worker that is stopped while it loads the application goes on without one: its master kills it then
        "pyuwsgi --http-socket 127.0.0.1:{port} --module wsgi:app --enable-threads --lazy-apps --processes 2 --master "
        "--die-on-term --worker-reload-mercy 5"
    ),
}

# those that only some tests start
OTHER_SERVERS = {
    "gevent.pywsgi": "python -m store_front.below_pywsgi {port}",
    "granian": "granian --interface wsgi --port {port} wsgi:app",
}

# the same for ASGI
ASGI_SERVERS = {
    "uvicorn": "uvicorn --uds {socket} --no-access-log APP",
    "uvicorn --workers": "uvicorn --uds {socket} --workers 2 APP",
    "uvicorn --factory --reload": "uvicorn --port {port} --reload --reload-dir store_front --factory FACTORY",
    "hypercorn": "hypercorn --bind unix:{socket} APP",
    "hypercorn --workers": "hypercorn --bind unix:{socket} --workers 2 APP",
    "gunicorn uvicorn worker": "gunicorn --bind unix:{socket} -k uvicorn.workers.UvicornWorker APP",
    "gunicorn asgi worker": "gunicorn --bind unix:{socket} -k asgi APP",
}
OTHER_ASGI_SERVERS = {
    "uvicorn, uvloop and httptools": "uvicorn --uds {socket} --loop uvloop --http httptools --no-access-log APP",
    "hypercorn, HTTP/2": "hypercorn --bind unix:{socket} APP",
    "granian": "granian --interface asgi --port {port} APP",
}
MODULES = {
    "FastAPI": "store_front.asgi.with_fastapi:app",
    "Starlette": "store_front.asgi.with_starlette:app",
    "Quart": "store_front.asgi.with_quart:app",
    "none": "store_front.asgi.plain:app",
    "Flask behind asgiref": "store_front.asgi.adapted:by_asgiref",
    "Flask behind a2wsgi": "store_front.asgi.adapted:by_a2wsgi",
}


def serving_asgi(server: str, framework: str, **environment: str) -> AbstractContextManager[httpx.Client]:
    """An HTTP client of an ASGI server below ``otel-coverage run``, by its name and the application's framework."""
    application = MODULES[framework]
    command = (ASGI_SERVERS | OTHER_ASGI_SERVERS)[server].replace("APP", application)
    command = command.replace("FACTORY", application.replace("app", "create_app"))
    return serving(command, RUN, server.endswith("HTTP/2"), **environment)


@contextmanager
def serving(
    command: str, run: Sequence[str] = RUN, http2: bool = False, /, **environment: str
) -> Iterator[httpx.Client]:
    """An HTTP client of the server that ``command`` starts; {socket} and {port} in it are replaced."""
    with tempfile.TemporaryDirectory(prefix="web-") as folder:  # a socket's path may have 107 bytes at most
        path, port = Path(folder, "socket"), free_port()
        words = command.format(socket=path, port=port).split()
        if words[0] == "gunicorn":
            words.insert(1, "--no-control-socket")
        uds = str(path) if "{socket}" in command else None
        transport = httpx.HTTPTransport(uds=uds, limits=NO_KEPT, http1=not http2, http2=http2)
        with (
            running([*run, *words], **environment) as process,
            httpx.Client(transport=transport, base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
        ):
            wait_for_answer(client, process)
            yield client


def get_until_closed(client: httpx.Client, path: str, headers: Mapping[str, str] | None = None) -> str:
    """The text of a response, once the server has closed the connection, before which a WSGI server ends the request.

    A client has all of a response while its request goes on: the server still has to call ``close()``, where the span
    ends. Servers that run requests in daemon threads (Flask's; waitress at SIGTERM) stop without waiting for that.
    """
    with client.stream("GET", path, headers={**(headers or {}), "Connection": "close"}) as response:
        content = b"".join(cast(Iterable[bytes], response.stream))  # read() would close the connection, too
        assert response.extensions["network_stream"].read(1, timeout=PATIENCE) == b""
    return content.decode()
