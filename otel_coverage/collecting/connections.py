"""HTTP connections: a slow client holds no thread for long, and a request whose client left is noticed."""

from __future__ import annotations

import contextlib
import logging
import select
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

MAX_WAITING = 256  # connections without a whole request; beyond, the one that waits longest is closed
IDLE_TIMEOUT = 60.0  # seconds until the first byte of a request
HEADER_TIMEOUT = 10.0  # seconds from then to the end of the header
BUSY_TIMEOUT = 1.0  # seconds for each read while other requests wait for a thread
REQUEST_TIMEOUT = 900.0  # seconds from the header to the end of the response

logger = logging.getLogger(__name__)

_TICK = 0.25  # seconds between two looks at requests in progress
_PARTIAL_TICK = 0.05  # seconds between two looks at headers that are not whole
_PEEKED_BYTES = 32 * 1024  # a longer header is read in a thread, within HEADER_TIMEOUT

EXCHANGE = "otel_coverage.exchange"  # of a WSGI environ


class Exchange:
    """A request in progress."""

    def __init__(self, connection: Any) -> None:
        self._socket: socket.socket = connection.socket
        self._started = time.monotonic()  # of what is being read
        self._deadline: float | None = None
        self._end = self._started + REQUEST_TIMEOUT
        self._on_disconnect: Callable[[], None] | None = None
        self.is_over = False

    @contextlib.contextmanager
    def receiving(self, seconds: float) -> Iterator[None]:
        """Close the connection if the block, which reads from the client, takes longer."""
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        try:
            yield
        finally:
            self._deadline = None

    def received(self) -> None:
        """What was being read is there."""
        self._deadline = None

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Call this from a thread of its own if the client leaves before it has the response."""
        self._on_disconnect = callback

    def check(self, now: float, *, others_wait: bool) -> None:
        """Close the connection where a deadline has passed; call back where the client has left.

        Args:
            now: the time.
            others_wait: whether requests wait for a thread: then a client that is slow to send loses this one.
        """
        deadline = self._deadline
        if deadline is not None and others_wait:
            deadline = min(deadline, self._started + BUSY_TIMEOUT)
        if self._socket.fileno() == -1:
            self.is_over = True
        elif now > self._end or (deadline is not None and now > deadline):
            self.is_over = True
            with contextlib.suppress(OSError):  # closed meanwhile
                self._socket.shutdown(socket.SHUT_RDWR)  # the thread that reads or writes gets an error
        elif self._on_disconnect is not None and _peeked(self._socket, 1) == b"":
            threading.Thread(target=self._on_disconnect, name="otel-coverage-cancel", daemon=True).start()
            self._on_disconnect = None


class Watcher:
    """Holds connections until a whole request header has arrived, and watches the requests in progress.

    Args:
        serve: takes a connection whose header is there; returns at once.
        count_queued: how many such connections wait for a thread.
    """

    def __init__(self, serve: Callable[[Any], None], count_queued: Callable[[], int]) -> None:
        self._serve = serve
        self._count_queued = count_queued
        self._added: deque[Any] = deque()
        self._waiting: dict[Any, float] = {}  # connection → until when
        self._partial: set[Any] = set()  # those of them that have sent something
        self._exchanges: set[Exchange] = set()
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="otel-coverage-connections", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connections that have no whole request, and stop watching."""
        self._stopping = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        for connection in [*self._waiting, *self._added]:
            connection.close()
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def add(self, connection: Any) -> None:
        """Serve a connection as soon as a whole header is there."""
        if _state(connection) == "complete":
            self._hand_over(connection)
        else:
            self._added.append(connection)
            self._wake()

    def _hand_over(self, connection: Any) -> None:
        connection.exchange = Exchange(connection)
        self._exchanges.add(connection.exchange)
        self._serve(connection)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake
            self._wake_writer.send(b"x")

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._step()
            except Exception:  # of one connection: the others are still to be served
                logger.exception("a connection failed")
                time.sleep(_PARTIAL_TICK)

    def _step(self) -> None:
        timeout = _PARTIAL_TICK if self._partial else _TICK if self._exchanges else 1.0
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                with contextlib.suppress(OSError):
                    self._wake_reader.recv(4096)
            else:
                self._selector.unregister(key.fileobj)
                self._partial.add(key.data)
                self._waiting[key.data] = time.monotonic() + HEADER_TIMEOUT
        while self._added:
            self._wait_for(self._added.popleft())
        now = time.monotonic()
        for connection in list(self._partial):
            self._examine(connection)
        for connection in [connection for connection, until in self._waiting.items() if until < now]:
            self._drop(connection)
        others_wait = self._count_queued() > 0
        for exchange in list(self._exchanges):
            exchange.check(now, others_wait=others_wait)
            if exchange.is_over:
                self._exchanges.discard(exchange)

    def _wait_for(self, connection: Any) -> None:
        self._waiting[connection] = time.monotonic() + IDLE_TIMEOUT
        try:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        except (OSError, ValueError, KeyError):  # closed meanwhile
            self._drop(connection)
        if len(self._waiting) > MAX_WAITING:
            self._drop(next(iter(self._waiting)))

    def _examine(self, connection: Any) -> None:
        state = _state(connection)
        if state == "gone":
            self._drop(connection)
        elif state == "complete":
            self._forget(connection)
            self._hand_over(connection)

    def _drop(self, connection: Any) -> None:
        self._forget(connection)
        connection.close()

    def _forget(self, connection: Any) -> None:
        self._waiting.pop(connection, None)
        self._partial.discard(connection)
        with contextlib.suppress(OSError, ValueError, KeyError):
            self._selector.unregister(connection.socket)


def _state(connection: Any) -> str:
    """How far the next request's header has arrived: nothing, partial, complete; or gone, with the client."""
    if connection.rfile.has_data():
        return "complete"
    data = _peeked(connection.socket, _PEEKED_BYTES)
    if data is None:
        return "nothing"
    if data == b"":
        return "gone"
    return "complete" if b"\r\n\r\n" in data or b"\n\n" in data or len(data) == _PEEKED_BYTES else "partial"


def _peeked(connection: socket.socket, size: int) -> bytes | None:
    """What has arrived and was not read yet; None for nothing, empty where the client has left."""
    try:
        poll = select.poll()  # a socket with a timeout would wait in recv
        poll.register(connection, select.POLLIN)
        return connection.recv(size, socket.MSG_PEEK) if poll.poll(0) else None
    except (OSError, ValueError):
        return b""
