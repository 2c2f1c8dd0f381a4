"""Servers that note who named a profile: the application, and a host that is none of its business."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Echo:
    """A server of this process.

    Attributes:
        url: where it is.
        traced: whether it answers as a traced application does.
        page: what it answers.
        requests: path, profile and headers of each request, the names in lower case.
    """

    url: str = ""
    traced: bool = True
    page: str = "<p>fine</p>"
    requests: list[tuple[str, str | None, dict[str, str]]] = field(default_factory=list)

    def profiles(self) -> dict[str, set[str | None]]:
        """The profiles that were named, by path."""
        found: dict[str, set[str | None]] = {}
        for path, profile, _ in self.requests:
            found.setdefault(path, set()).add(profile)
        return found


@contextmanager
def echoing() -> Iterator[Echo]:
    """A server on a free port of the loopback interface. ``/to?URL`` redirects."""
    state = Echo()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            named = re.search(r"playback\.profile=([^,;]+)", ",".join(self.headers.get_all("baggage") or ()))
            self.rfile.read(int(headers.get("content-length", "0")))
            state.requests.append((path, named[1] if named else None, headers))
            body = state.page.encode()
            self.send_response(302 if path == "/to" else 200)
            if path == "/to":
                self.send_header("Location", query)
            if named and state.traced:
                self.send_header("X-Profile-Traced", named[1])
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
