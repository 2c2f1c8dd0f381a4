"""Sessions in the chDB of this process: a connection for each request, so settings and databases are not shared."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import chdb

from otel_coverage.collecting.clickhouse.exceptions import QueryError
from otel_coverage.collecting.clickhouse.statements import Insert
from otel_coverage.store import Store

_MAX_EXECUTION_TIME = "600"  # seconds
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\0": "\\0"})  # of a query parameter

# where a syntax error's message quotes the statement of normalize() instead of the client's
_OUR_SCOPE = re.compile(r"(?:\s*:)? In scope SELECT formatQuerySingleLine\(.*\)(?=\. \()", re.DOTALL)


@dataclass(frozen=True, slots=True)
class QueryStats:
    """Rows and bytes that a statement read or wrote, and its duration in nanoseconds."""

    rows: int
    bytes: int
    nanoseconds: int


class SessionFactory:
    """Opens sessions on an embedded store.

    Args:
        store: open in this process; its database is the default of the sessions.

    Attributes:
        timezone: ClickHouse's time zone.
        version: ClickHouse's version.
    """

    def __init__(self, store: Store) -> None:
        self._path = store.dsn.path
        self._database = store.database
        self.timezone = str(store.query("SELECT timezone()").rows[0][0])
        self.version = str(store.query("SELECT version()").rows[0][0])

    def open(self, database: str, settings: Mapping[str, str]) -> Session:
        """A session with settings, in a database; in the store's if ``database`` is empty.

        Raises:
            QueryError: there is no such database or setting.
        """
        session = Session(chdb.connect(self._path))
        try:
            session.use(database or self._database)
            for name, value in {"max_execution_time": _MAX_EXECUTION_TIME, **settings}.items():
                session.set(name, value)
        except BaseException:
            session.close()
            raise
        return session


class Session:
    """A connection to chDB, for one statement. Every method raises QueryError for what ClickHouse refuses."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def use(self, database: str) -> None:
        """Change the current database."""
        name = database.replace("\\", "\\\\").replace("`", "\\`")
        self._run(f"USE `{name}`", "Null")

    def set(self, name: str, value: str) -> None:
        """Change a setting. ``name`` must be an identifier; only ``value`` is quoted."""
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        self._run(f"SET {name} = '{quoted}'", "Null")

    def normalize(self, sql: str) -> str:
        """A statement as ClickHouse's parser formats it on one line.

        Raises:
            QueryError: it is not exactly one valid statement.
        """
        try:
            result = self._run(
                "SELECT formatQuerySingleLine({sql:String})", "RawBLOB", {"sql": sql.translate(_ESCAPES)}
            )
        except QueryError as error:
            raise QueryError(error.code, _OUR_SCOPE.sub("", error.text)) from error
        return bytes(result.bytes()).decode("utf-8", "surrogateescape").strip()

    def read_only(self) -> None:
        """Refuse every change from now on, including of this setting."""
        self.set("readonly", "1")

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
        """Close the connection."""
        self._connection.close()

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
