"""The data of the page over a live store: read when somebody looks at the page, and anew when the store has changed."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import threading
import time
import zlib
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from otel_coverage.errors import ConfigurationError, NoCoverageError, OtelCoverageError
from otel_coverage.printable import printable
from otel_coverage.reporting.changes.comparison import compare
from otel_coverage.reporting.history import history
from otel_coverage.reporting.page.content import content
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.request import ReportRequest
from otel_coverage.reporting.serving.connection import StoreConnection
from otel_coverage.reporting.serving.files import write_file
from otel_coverage.reporting.summary import notes
from otel_coverage.store import Store
from otel_coverage.store.table_state import table_state

READING, WAITING, READY = "reading", "waiting", "ready"

_INTERVAL = 2.0  # seconds between two looks at the store
_SHARE = 2  # of the time that reading took: for so long nothing is read again, as inserts need the engine, too
_LONGEST_PAUSE = 30.0  # seconds
_INTEREST = 10.0  # seconds after which nobody looks at the page any more
_PATIENCE = 2.0  # seconds, at the end, for what is being read

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """The page's data.

    Attributes:
        version: a digest of it; the same data have the same.
        body: a JSON object: the version, and ``blocks`` by name, each deflated, in base64.
        read_at: when it was read, by the monotonic clock.
    """

    version: str
    body: bytes
    read_at: float


@dataclass(frozen=True, slots=True)
class Status:
    """What a page that is open wants to know, every few seconds.

    Attributes:
        phase: ``reading`` for the first time; ``waiting`` for coverage, where the store has none; ``ready``.
        message: what is being read, or waited for.
        problem: why the store could not be read last; empty where it could.
        version: of the data that there are; empty where there are none.
        age: seconds since these were read.
    """

    phase: str
    message: str
    problem: str
    version: str
    age: float

    @property
    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "age": round(self.age, 1)}


@dataclass
class _Selected:
    """The queries about one state of the store, and the files written of their answers; no folder where none was."""

    state: Hashable
    queries: RevisionQueries
    folder: TemporaryDirectory[str] | None = None


class LiveReport:
    """Reads a store in a thread of its own, between :meth:`start` and :meth:`stop`, as long as somebody asks.

    Args:
        dsn: the store's address.
        request: what the report is about.
    """

    def __init__(self, dsn: str, request: ReportRequest) -> None:
        self.request = request
        self.dsn = dsn
        self._connection = StoreConnection(dsn)
        self._selected: _Selected | None = None
        self._page: Page | None = None
        self._state: Hashable = None  # of the store when the page's data, or the lack of them, was read
        self._idle: Hashable = None  # of its folder, if nobody had it open afterwards
        self._phase, self._message, self._problem = READING, "opening the store", ""
        self._reading_took = 0.0  # seconds, of the last look
        self._asked = 0.0
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="otel-coverage-page", daemon=True)

    def check(self) -> None:
        """Open the store once.

        Raises:
            OtelCoverageError: it cannot be opened.
        """
        with self._connection.opened() as store:
            table_state(store)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> bool:
        """End; returns whether it has ended: a query in progress is waited for no longer than a moment."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            return False
        self._forget()
        self._connection.close()
        return True

    def status(self) -> Status:
        """How things stand; from now on, for a while, somebody looks at the page."""
        with self._wake:
            self._asked = time.monotonic()
            self._wake.notify_all()
            page = self._page
            age = 0.0 if page is None else time.monotonic() - page.read_at
            return Status(self._phase, self._message, self._problem, "" if page is None else page.version, age)

    @property
    def page(self) -> Page | None:
        """The data; None where there are none yet."""
        return self._page

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A file of the report, as it would be written now.

        Args:
            name: its address, without the slash in front.

        Raises:
            UnknownFileError: there is none of that name.
            NoCoverageError: the store has no coverage of what is asked for.
            OtelCoverageError: the store cannot be read.
        """
        with self._connection.opened() as store:
            selected = self._select(store, table_state(store))
            if selected.folder is None:
                selected.folder = TemporaryDirectory(prefix="otel-coverage-serve-")  # its owner's alone
            yield write_file(name, selected.queries, self.request, Path(selected.folder.name))

    def profiles(self) -> list[str]:
        """The names of the profiles; raises what :meth:`file` raises."""
        with self._connection.opened() as store:
            return [str(row["profile"]) for row in self._select(store, table_state(store)).queries.profiles]

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._stopping or self._is_watched):
                    self._wake.wait()
                if self._stopping:
                    return
            self._look()
            with self._wake:
                self._wake.wait_for(lambda: self._stopping, _pause_after(self._reading_took))
                self._reading_took = 0.0

    @property
    def _is_watched(self) -> bool:
        return self._asked > 0 and time.monotonic() - self._asked < _INTEREST

    def _look(self) -> None:
        """Read the store where it has changed; what is wrong with it is shown on the page."""
        try:
            if self._idle is not None and self._idle == self._connection.idle_state():
                return
            self._idle = None
            with self._connection.opened(unasked=True) as store:
                state = table_state(store)
                if state != self._state:
                    self._read(store, state)
                    self._state = state
                else:
                    self._note(problem="")
            self._idle = self._connection.idle_state()
        except OtelCoverageError as error:
            self._note(problem=printable(str(error)))
        except Exception as error:  # the thread has to go on
            logger.exception("the store cannot be read")
            self._note(problem=printable(f"{type(error).__name__}: {error}"))

    def _read(self, store: Store, state: Hashable) -> None:
        began = time.monotonic()
        try:
            page = self._content(self._select(store, state).queries)
        except (NoCoverageError, ConfigurationError) as error:
            with self._wake:
                self._page = None
                self._phase, self._message, self._problem = WAITING, printable(str(error)), ""
            return
        self._reading_took = time.monotonic() - began
        with self._wake:
            self._page = page
            self._phase, self._message, self._problem = READY, "", ""

    def _content(self, queries: RevisionQueries) -> Page:
        request = self.request
        self._note("the history")
        points = history(queries, request.history_length)
        baseline, reasons = request.select_baseline(queries)
        comparison = None
        if baseline is not None:
            self._note("what changed since the baseline")
            comparison = compare(queries, baseline)
        self._note("functions and lines")
        remarks = (*notes(queries), *reasons)
        blocks = content(queries, remarks, asdict(request.links), comparison=comparison, history=points)
        version = hashlib.sha256()
        for name, block in blocks.items():
            version.update(f"{name} {len(block)} ".encode() + block)
        # loopback: to deflate more would take longer than to send more
        packed = {name: base64.b64encode(zlib.compress(block, 1)).decode("ascii") for name, block in blocks.items()}
        digest = version.hexdigest()[:32]
        return Page(digest, json.dumps({"version": digest, "blocks": packed}).encode(), time.monotonic())

    def _select(self, store: Store, state: Hashable) -> _Selected:
        """The queries about a state of the store, those that are there where they are about the same."""
        selected = self._selected
        if selected is None or selected.state != state or selected.queries.store is not store:
            self._note("which revisions, runs and profiles there are")
            self._forget()
            selected = self._selected = _Selected(state, self.request.select(store))
        return selected

    def _forget(self) -> None:
        selected, self._selected = self._selected, None
        if selected is not None and selected.folder is not None:
            selected.folder.cleanup()

    def _note(self, message: str = "", *, problem: str | None = None) -> None:
        with self._wake:
            if self._phase == READING and message:
                self._message = message
            if problem is not None:
                self._problem = problem


def _pause_after(seconds: float) -> float:
    """How long nothing is read after something was, for so many seconds."""
    return min(max(_INTERVAL, _SHARE * seconds), _LONGEST_PAUSE)
