"""A store: ClickHouse, as a server or inside this process, through clickhouse-connect."""

from __future__ import annotations

import json
import logging
import os
import re
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httputil import default_pool_manager

from otel_coverage.errors import AccessDeniedError, ConfigurationError, OtelCoverageError, StoreError, UnreachableError
from otel_coverage.store.allocator import Allocator
from otel_coverage.store.dsn import Dsn
from otel_coverage.store.endpoint_file import EndpointFile
from otel_coverage.store.lock_owner import lock_owner
from otel_coverage.store.log_folder import holds_exports, insert_leftovers, log_folder
from otel_coverage.store.opening import held, turn_to_open

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from typing_extensions import Self

logger = logging.getLogger(__name__)

# it logs what it raises
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

BEHIND = "otel_coverage_behind"  # in the summary of a query: accepted exports that its store does not have yet

_PIECE = 1024 * 1024  # bytes
_HELD_SECONDS = 2.0  # for which one is waited for that has the folder open out of its turn: it may be ending
_INTERVAL = 0.1  # seconds between two looks at that

_LIBRARY = "libpybind11nonlimitedapi_chdb_"  # chDB has one for each version of Python that it runs in
_UNKNOWN = frozenset({"UNKNOWN_TABLE", "UNKNOWN_DATABASE"})
_ACCESS_DENIED = 497  # the code of that error
_NOISE = re.compile(r"^(?:HTTPDriver[^:]*: |Received ClickHouse exception, )*(?:Code: \d+\. )?(?:DB::Exception: )?")


@dataclass(frozen=True, slots=True)
class Result:
    """What a query returned.

    Attributes:
        columns: the columns' names; none where there are no rows.
        rows: Python values in the order of the columns; times are aware, in UTC.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """Each row as a mapping from column to value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)


class Store:
    """An open store. Safe to use from several threads; an embedded one answers them one after the other.

    Attributes:
        dsn: its address.
        via: the address that answers for it: that of a collector that has an embedded store open, else its own.
        allocator: returns, after each query, what the engine in this process has freed; None where nothing does.
    """

    def __init__(self, client: Client, dsn: Dsn, via: Dsn | None = None, turn: ExitStack | None = None) -> None:
        self._client = client
        self.allocator: Allocator | None = None
        self._turn = turn or ExitStack()
        self._behind = 0
        self.dsn = dsn
        self.via = via or dsn

    @property
    def database(self) -> str:
        """The database that unqualified names refer to."""
        return self.dsn.database

    def query(self, sql: str, parameters: Mapping[str, object] | None = None) -> Result:
        """Run one statement and return its rows.

        Args:
            sql: the statement; ``{name:Type}`` stands for a parameter.
            parameters: the parameters' values, bound by the engine.

        Raises:
            StoreError: the engine refuses the statement.
            UnreachableError: the server does not answer.
        """
        with self._errors():
            answer = self._client.query(sql, parameters=dict(parameters or {}))
            self._note_behind(int(answer.summary.get(BEHIND, 0)))
            result = Result(tuple(answer.column_names), [tuple(row) for row in answer.result_rows])
        self._purge()
        return result

    def export(self, sql: str, parameters: Mapping[str, object] | None, shape: str) -> bytes:
        """Run one statement and return its rows in one of the engine's own formats, such as ``Parquet``.

        Raises:
            StoreError: the engine refuses the statement.
            UnreachableError: the server does not answer.
        """
        with self._errors():
            content = bytes(self._client.raw_query(sql, parameters=dict(parameters or {}), fmt=shape))
        self._purge()
        return content

    def stream(self, sql: str, parameters: Mapping[str, object] | None, shape: str) -> Iterator[bytes]:
        """Run one statement and return its rows in one of the engine's own formats, in pieces as the engine has them.

        Raises:
            StoreError: the engine refuses the statement.
            UnreachableError: the server does not answer.
        """
        with self._errors(), self._client.raw_stream(sql, parameters=dict(parameters or {}), fmt=shape) as stream:
            while piece := stream.read(_PIECE):
                yield piece

    def columns(self, sql: str, parameters: Mapping[str, object] | None = None) -> tuple[str, ...]:
        """The names of a statement's columns; :meth:`query` gets them only together with rows.

        Raises:
            StoreError: the engine refuses the statement.
            UnreachableError: the server does not answer.
        """
        header = self.export(sql, parameters, "JSONCompactEachRowWithNames").split(b"\n", 1)[0]
        return tuple(json.loads(header or "[]"))

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement that returns no rows.

        Raises:
            StoreError: the engine refuses the statement.
            UnreachableError: the server does not answer.
        """
        with self._errors():
            self._client.command(sql, parameters=dict(parameters or {}))

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Insert all rows by one statement.

        Args:
            table: by name, in the store's database.
            columns: the columns that the rows have values for.
            rows: the values; times may be integers, in the column's own unit.
            settings: the engine's, for this statement.

        Raises:
            StoreError: the engine refuses them, or a value does not fit its column.
            UnreachableError: the server does not answer.
        """
        if not rows:
            return
        with self._errors():
            try:
                self._client.insert(
                    table, rows, column_names=list(columns), database=self.database, settings=dict(settings or {})
                )
            except (TypeError, ValueError, OverflowError, struct.error) as error:
                raise StoreError(
                    f"{self.dsn}: {table}: a value does not fit its column: {_first_line(error)}"
                ) from error

    def insert_stream(self, table: str, columns: Sequence[str], data: IO[bytes], shape: str) -> None:
        """Insert rows that are in one of the engine's own formats.

        Raises:
            StoreError: the engine refuses them.
            UnreachableError: the server does not answer.
        """
        with self._errors():
            self._client.raw_insert(table, list(columns), data, fmt=shape)  # type: ignore[arg-type]

    def answers(self) -> None:
        """Others may ask this process from now on: end the turn that :func:`open_store` left to this store."""
        self._turn.close()

    def close(self) -> None:
        """Close it; the folder of an embedded store is free for other processes once all of this one's are closed."""
        if self.allocator is not None:
            self.allocator.close()
        self._client.close()
        self._turn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def keep_small(self) -> None:
        """From now on return to the system, after each query, the memory that an engine in this process has freed."""
        if self.via.kind == "chdb" and self.allocator is None:
            self.allocator = Allocator(self.via)

    def _purge(self) -> None:
        if self.allocator is not None:
            self.allocator.purge()

    def _note_behind(self, behind: int) -> None:
        """Say once that the collector has accepted more than it could insert."""
        if behind and not self._behind:
            logger.warning(
                "%s: %d accepted exports are not in the store yet, and not in this result; the collector says why",
                self.dsn,
                behind,
            )
        self._behind = max(self._behind, behind)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ClickHouseError as error:
            raise _translated(error, self.dsn) from error


def open_store(
    dsn: str, *, create: bool = False, read_only: bool = False, via_collector: bool = False, keep_turn: bool = False
) -> Store:
    """Open the store at an address.

    Processes open an embedded store one after the other: whoever has its turn is waited for, up to a minute.

    Args:
        dsn: ``chdb:///absolute/path`` or ``clickhouse://user:password@host:8123/database``.
        create: whether to make the folder and the database where they do not exist.
        read_only: whether the engine is to refuse every statement that changes anything. An embedded store that a
            collector has open is then queried through that collector; one whose collector was killed gets what that
            one had accepted before. Spans without a run id are put into runs first, as far as the user may insert.
        via_collector: whether to do that for writing, too; the collector lets only catalogs and windows be written.
        keep_turn: whether it is the turn of this process until the store is closed, or :meth:`Store.answers` called;
            else only while it is opened here.

    Raises:
        ConfigurationError: the address cannot be read, or the embedded engine is not installed.
        StoreError: there is no such store, or another process has it open.
        UnreachableError: the server does not answer.
    """
    where = Dsn.parse(dsn)
    with ExitStack() as turn:
        if where.kind == "chdb":
            address, client = _embedded(where, create, read_only, via_collector, turn)
        else:
            address, client = where, _server_client(where)
        try:
            store = Store(client, where, address, turn.pop_all() if keep_turn else None)
            known = store.query(
                "SELECT count() FROM system.databases WHERE name = {name:String}", {"name": where.database}
            ).rows[0][0]
            if not known and create:
                store.command(f"CREATE DATABASE IF NOT EXISTS {where.database}")
            elif not known:
                raise _missing(where, f"the database {where.database!r} does not exist")
            client.database = where.database
            if read_only and address is where:  # a collector does that by itself
                _fold(store)
            if read_only and not _is_reader(client):
                # 2, not 1: a reader may still limit its own queries by settings, and cannot reset this one
                client.set_client_setting("readonly", "2")
            if read_only:
                store.keep_small()
        except BaseException:
            store.close()
            raise
    return store


def _embedded(where: Dsn, create: bool, read_only: bool, via_collector: bool, turn: ExitStack) -> tuple[Dsn, Client]:
    """The address that answers for an embedded store, that of its collector or its own, and a client of it.

    The turn to open it is left to ``turn`` where this process does.
    """
    if create:
        _check_engine(where)
        try:
            os.makedirs(where.path, mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{where}: the folder cannot be created: {error.strerror}") from error
    deadline = time.monotonic() + _HELD_SECONDS
    has_leftovers = read_only
    while True:
        with ExitStack() as current:
            current.enter_context(turn_to_open(where))
            owner = lock_owner(where.path, or_this=True)
            file = EndpointFile.read(where.path, owner) if owner is not None else None
            if file is not None and (read_only or via_collector):
                break
            has_leftovers = has_leftovers and holds_exports(log_folder(where))
            owner = lock_owner(where.path)
            if owner is None and not has_leftovers:
                client = _embedded_client(where, create)
                turn.push(current.pop_all())
                return where, client
            if owner is not None and (file is not None or time.monotonic() > deadline):
                raise held(where, owner)
        if owner is not None:
            time.sleep(_INTERVAL)
            continue
        has_leftovers = False
        try:
            insert_leftovers(where)
        except StoreError:
            if lock_owner(where.path) is None:  # else a collector was started meanwhile, which inserts them
                raise
    address = file.dsn(where.database)
    return address, _server_client(address)


def _fold(store: Store) -> None:
    """Put spans without a run id into their runs, and say so where that cannot be done."""
    from otel_coverage.store.folding import UNASSIGNED, fold  # they open stores, too

    try:
        if store.query(f"EXISTS TABLE {UNASSIGNED}").rows[0][0]:
            fold(store)
    except StoreError as error:
        logger.warning(
            "what came without a run id may lack here; `otel-coverage store fold`, by a user who may insert, puts it"
            " into runs: %s",
            error,
        )


def _is_reader(client: Client) -> bool:
    """Whether the server already makes this user read-only, so that not even settings can be changed."""
    setting = client.server_settings.get("readonly")
    return setting is not None and setting.value != "0"


def _check_engine(where: Dsn) -> None:
    """chDB ends the process where it has no library for the interpreter, so look for the library first."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = find_spec("chdb")
    folder = Path(found.origin).parent if found is not None and found.origin is not None else None
    if folder is not None and any(folder.glob(f"{_LIBRARY}*")) and not any(folder.glob(f"{_LIBRARY}{version}.*")):
        raise ConfigurationError(
            f"{where}: this release of the embedded engine cannot run in CPython {version}; use an older Python here, "
            "or a ClickHouse server"
        )


def _embedded_client(where: Dsn, create: bool) -> Client:
    _check_engine(where)
    if not create and not os.path.isdir(os.path.join(where.path, "metadata")):
        raise _missing(where, "there is no store")
    if not os.access(where.path, os.W_OK | os.X_OK):
        raise StoreError(f"{where}: the folder is not writable; the engine writes to it even when it only reads data")
    try:
        return clickhouse_connect.get_client(interface="chdb", path=where.path, tz_mode="schema")
    except ImportError as error:
        raise ConfigurationError(
            f"{where}: the embedded engine is not installed; pip install 'otel-coverage[embedded]'"
        ) from error
    except ClickHouseError as error:
        owner = lock_owner(where.path)  # of a program that is not this one, and has opened it just now
        raise (StoreError(f"{where}: {_first_line(error)}") if owner is None else held(where, owner)) from error


def _server_client(where: Dsn) -> Client:
    try:
        return clickhouse_connect.get_client(
            interface="https" if where.tls else "http",
            host=where.host,
            port=where.port,
            username=where.username or None,
            password=where.password,
            tz_mode="schema",
            autogenerate_session_id=False,  # a session answers one thread at a time
            # a server on this machine is reached directly, whatever http_proxy says
            pool_mgr=default_pool_manager() if where.is_loopback and not where.tls else None,
            generic_args=dict(where.options),
        )
    except ClickHouseError as error:
        raise _translated(error, where) from error
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _missing(where: Dsn, what: str) -> StoreError:
    return StoreError(f"{where}: {what}; `otel-coverage schema apply --store {where}` creates it")


def _translated(error: ClickHouseError, where: Dsn) -> OtelCoverageError:
    """An error of ours, in one line, for an exception of the driver."""
    code, name = getattr(error, "code", None), getattr(error, "name", None)
    if name in _UNKNOWN:
        return StoreError(
            f"{where}: {_first_line(error)}; has the schema been applied? `otel-coverage schema apply --store {where}`"
        )
    if code is None and "Error" in str(error) and "HTTPConnection" in str(error):
        return UnreachableError(f"{where}: no answer; is ClickHouse running, and is this its HTTP port?")
    kind = AccessDeniedError if code == _ACCESS_DENIED or name == "ACCESS_DENIED" else StoreError
    return kind(f"{where}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _NOISE.sub("", lines[0]).strip()
