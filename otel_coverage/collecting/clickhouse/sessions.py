"""Sessions in the chDB of this process: a connection for each request, so settings and databases are not shared."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import chdb

from otel_coverage.collecting.clickhouse.allowlist import session_settings
from otel_coverage.collecting.clickhouse.exceptions import QueryError, too_busy, too_many_queries, unknown_database
from otel_coverage.collecting.clickhouse.judge import AllowedStatement, Judge
from otel_coverage.collecting.clickhouse.statements import Insert
from otel_coverage.store import Store
from otel_coverage.store.schema import layout_of

if TYPE_CHECKING:
    from typing_extensions import Self

MAX_QUERIES = 8  # at once, each with the memory of `allowlist.MAX_MEMORY_BYTES`

_QUEUE_TIMEOUT = 10.0  # seconds that one more waits
_INSERT_TIMEOUT = 60.0  # seconds that an insert waits for others
_KILL_INTERVAL = 0.5  # seconds; a statement between two of a session's is not there to be killed
_LAST = ("allow_ddl", "readonly")  # settings that cannot be taken back, and that no session that writes has
_DEFAULT_DATABASE = "default"  # sent by clients without a configured database; in chDB it maps table names to files


@dataclass(frozen=True, slots=True)
class QueryStats:
    """Rows and bytes that a statement read or wrote, and its duration in nanoseconds."""

    rows: int
    bytes: int
    nanoseconds: int


class SessionFactory:
    """Opens sessions on an embedded store.

    Args:
        store: open in this process; its database is that of all sessions.
        insert_turn: shared with who else inserts; one insert at a time has it.

    Attributes:
        traces: the table that takes spans.
        timezone: ClickHouse's time zone.
        version: ClickHouse's version.
    """

    def __init__(self, store: Store, insert_turn: threading.BoundedSemaphore | None = None) -> None:
        self._path = store.dsn.path
        self._database = store.database
        self._judge = Judge(store.database)
        self._queries = threading.BoundedSemaphore(MAX_QUERIES)
        self._inserts = insert_turn or threading.BoundedSemaphore(1)
        self.traces = layout_of(store).spans
        self.timezone = str(store.query("SELECT timezone()").rows[0][0])
        self.version = str(store.query("SELECT version()").rows[0][0])

    def open_reading(self, database: str) -> Session:
        """As `open`, for a query: no more than `MAX_QUERIES` of them are open at once.

        Raises:
            QueryError: it is another database, or too many are open and stay so.
        """
        if not self._queries.acquire(timeout=_QUEUE_TIMEOUT):
            raise too_many_queries(MAX_QUERIES)
        try:
            return self.open(database, self._queries.release)
        except BaseException:
            self._queries.release()
            raise

    def open_inserting(self, database: str) -> Session:
        """As `open`, for an insert: one at a time.

        Raises:
            QueryError: it is another database, or others take too long.
        """
        if not self._inserts.acquire(timeout=_INSERT_TIMEOUT):
            raise too_busy("other inserts are in progress; retry later")
        try:
            return self.open(database, self._inserts.release)
        except BaseException:
            self._inserts.release()
            raise

    def open(self, database: str, on_close: Callable[[], None] = lambda: None) -> Session:
        """A session in the store's database, bounded in time and memory.

        Args:
            database: what the client calls it; nothing and ``default`` mean the store's, too.
            on_close: called when it was closed.

        Raises:
            QueryError: it is another one.
        """
        self.check_database(database)
        mark = uuid.uuid4().hex
        session = Session(chdb.connect(self._path), self._database, lambda: self._kill(mark))
        walls = session_settings(self._database)
        bounds = {name: value for name, value in walls.items() if name not in _LAST}
        try:
            session.use(self._database)
            session.set({**bounds, "log_comment": mark})
        except BaseException:
            session.close()
            raise
        session.on_close = on_close
        return session

    def _kill(self, mark: str) -> None:
        with Session(chdb.connect(self._path), self._database) as session, suppress(QueryError):
            session.query(f"KILL QUERY WHERE Settings['log_comment'] = '{mark}' ASYNC", "Null", {})

    def judge(self, session: Session, sql: str, parameters: Mapping[str, str]) -> AllowedStatement:
        """Judge a statement that a session is to run.

        Raises:
            QueryError: it is not allowed, or not one valid statement.
        """
        return self._judge.judge(session.query, sql, parameters)

    def check_database(self, name: str) -> None:
        """Check the database that a client names.

        Raises:
            QueryError: it is not the store's.
        """
        if name not in ("", _DEFAULT_DATABASE, self._database):
            raise unknown_database(name, self._database)


class Session:
    """A connection to chDB, for one statement. Every method raises QueryError for what ClickHouse refuses."""

    def __init__(self, connection: Any, database: str, kill: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self._database = database
        self._kill = kill
        self._closed = threading.Event()
        self.on_close: Callable[[], None] = lambda: None

    def use(self, database: str) -> None:
        """Change the current database, whose name is an identifier."""
        self._run(f"USE `{database}`", "Null")

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings. Their names must be identifiers; only values are quoted."""
        values = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in settings.items()}
        if values:
            self._run("SET " + ", ".join(f"{name} = '{value}'" for name, value in values.items()), "Null")

    def read_only(self, settings: Mapping[str, str]) -> None:
        """Change settings, and refuse every change from now on.

        Args:
            settings: checked by `check_setting`; what they say of bounds replaces the session's own.
        """
        walls = session_settings(self._database)
        self.set({**settings, **{name: walls[name] for name in _LAST}})

    def query(self, sql: str, format_name: str, parameters: Mapping[str, str]) -> bytes:
        """The whole result of a statement of ours."""
        return bytes(self._run(sql, format_name, parameters).bytes())

    def execute(self, sql: str, default_format: str, parameters: Mapping[str, str]) -> tuple[bytes, QueryStats]:
        """The whole result, in ``default_format`` where the statement names none."""
        result = self._run(sql, default_format, parameters)
        return result.bytes(), QueryStats(result.rows_read(), result.bytes_read(), int(result.elapsed() * 1e9))

    def stream(self, sql: str, default_format: str, parameters: Mapping[str, str]) -> Generator[bytes, None, None]:
        """The result in chunks, as it is computed. Closing the generator cancels the query."""
        with _query_errors(), self._connection.send_query(sql, default_format, params=dict(parameters)) as result:
            for chunk in result:
                yield chunk.bytes()

    def insert(self, insert: Insert, data: Iterable[bytes]) -> QueryStats:
        """Insert streamed data; nothing of it if an error occurs on the way."""
        with _query_errors():
            inserter = self._connection.send_insert(insert.sql, insert.format)
        with inserter:
            for chunk in data:  # its exceptions propagate, and abort the insert
                with _query_errors():
                    inserter.append(chunk)
            with _query_errors():
                done = inserter.finish()
        return QueryStats(done.rows_written, done.bytes_written, int(done.elapsed * 1e9))

    def close(self) -> None:
        """Close the connection. May be called again."""
        if not self._closed.is_set():
            self._closed.set()
            try:
                self._connection.close()
            finally:
                self.on_close()

    def cancel(self) -> None:
        """Stop whatever statement is running, from another thread; returns when the session is closed."""
        while not self._closed.is_set():
            self._kill()
            self._closed.wait(_KILL_INTERVAL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, sql: str, format_name: str, parameters: Mapping[str, str] | None = None) -> Any:
        with _query_errors():
            return self._connection.query(sql, format_name, params=dict(parameters or {}))


@contextmanager
def _query_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise QueryError.from_chdb(error) from error
