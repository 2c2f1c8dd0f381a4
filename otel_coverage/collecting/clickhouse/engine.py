"""The engine that this process holds, by a handle of its own for each request: what one sets, no other one sees."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import chdb

from otel_coverage.collecting.clickhouse.errors import EngineError
from otel_coverage.collecting.clickhouse.statements import Insert
from otel_coverage.store import Store

_MAX_SECONDS = "600"
_AS_CLICKHOUSE_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\0": "\\0"})

# where the engine says in which statement the error is, it means the one that asks its parser
_OF_OUR_OWN = re.compile(r"(?:\s*:)? In scope SELECT formatQuerySingleLine\(.*\)(?=\. \()", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement cost: rows and bytes read or written, and the time in nanoseconds."""

    rows: int
    bytes: int
    nanoseconds: int


class Engine:
    """Opens sessions in the folder of an embedded store.

    Args:
        store: open in this process; its database is what statements refer to that name none.
    """

    def __init__(self, store: Store) -> None:
        self._path = store.dsn.path
        self._database = store.database
        self.timezone = str(store.query("SELECT timezone()").rows[0][0])
        self.version = str(store.query("SELECT version()").rows[0][0])

    def session(self, database: str, settings: Mapping[str, str]) -> Session:
        """A session in a database, empty for the store's, with settings.

        Raises:
            EngineError: there is no such database or setting.
        """
        session = Session(chdb.connect(self._path))
        try:
            session.use(database or self._database)
            for name, value in {"max_execution_time": _MAX_SECONDS, **settings}.items():
                session.set(name, value)
        except BaseException:
            session.close()
            raise
        return session


class Session:
    """One handle on the engine, for one statement."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def use(self, database: str) -> None:
        """Enter a database."""
        name = database.replace("\\", "\\\\").replace("`", "\\`")
        self._run(f"USE `{name}`", "Null")

    def set(self, name: str, value: str) -> None:
        """Set a setting; the name has been looked at."""
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        self._run(f"SET {name} = '{quoted}'", "Null")

    def normalized(self, sql: str) -> str:
        """A statement as the engine's parser writes it on one line.

        Raises:
            EngineError: it is none, or more than one.
        """
        try:
            answer = self._run(
                "SELECT formatQuerySingleLine({sql:String})",
                "RawBLOB",
                {"sql": sql.translate(_AS_CLICKHOUSE_ESCAPES)},
            )
        except EngineError as error:
            raise EngineError(error.code, _OF_OUR_OWN.sub("", error.text)) from error
        return bytes(answer.bytes()).decode("utf-8", "surrogateescape").strip()

    def read_only(self) -> None:
        """From here on the engine refuses every change, that of this very setting included."""
        self.set("readonly", "1")

    def whole(self, sql: str, format_name: str, parameters: Mapping[str, str]) -> tuple[bytes, Work]:
        """Run a statement to its end. ``format_name`` counts where the statement names none."""
        answer = self._run(sql, format_name, parameters)
        return answer.bytes(), Work(answer.rows_read(), answer.bytes_read(), int(answer.elapsed() * 1e9))

    def pieces(self, sql: str, format_name: str, parameters: Mapping[str, str]) -> Generator[bytes, None, None]:
        """Run a statement, and hand its answer out as it comes; closing the iterator cancels it."""
        with _engine_errors(), self._connection.send_query(sql, format_name, params=dict(parameters)) as answer:
            for piece in answer:
                yield piece.bytes()

    def insert(self, insert: Insert, data: Iterable[bytes]) -> Work:
        """Insert what comes; nothing of it where that fails on the way."""
        with _engine_errors():
            inserter = self._connection.send_insert(insert.sql, insert.format)
        with inserter:
            for piece in data:  # its errors are the caller's, and end the insert
                with _engine_errors():
                    inserter.append(piece)
            with _engine_errors():
                done = inserter.finish()
        return Work(done.rows_written, done.bytes_written, int(done.elapsed * 1e9))

    def close(self) -> None:
        """Let go of the handle."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, sql: str, format_name: str, parameters: Mapping[str, str] | None = None) -> Any:
        with _engine_errors():
            return self._connection.query(sql, format_name, params=dict(parameters or {}))


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError.of(error) from error
