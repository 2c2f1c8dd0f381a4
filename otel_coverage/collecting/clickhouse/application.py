"""ClickHouse's HTTP interface, as far as Rotel, clickhouse-connect and dashboards use it."""

from __future__ import annotations

import itertools
import json
import re
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from cheroot.errors import MaxSizeExceeded
from werkzeug import Request, Response

from otel_coverage.collecting.bodies import MAX_BODY_BYTES, BodyError, BodyTooLargeError, read_body
from otel_coverage.collecting.clickhouse.exceptions import (
    QueryError,
    authentication_failed,
    bad_arguments,
    not_implemented,
    too_busy,
    too_large,
)
from otel_coverage.collecting.clickhouse.judge import check_format
from otel_coverage.collecting.clickhouse.request import (
    DEFAULT_USER,
    Access,
    RequestOptions,
    is_true,
    mark_changeable_settings,
    parse_options,
)
from otel_coverage.collecting.clickhouse.sessions import QueryStats, SessionFactory
from otel_coverage.collecting.clickhouse.statements import Insert, is_known_deletion
from otel_coverage.collecting.connections import EXCHANGE
from otel_coverage.collecting.memory import MemoryFullError, RequestMemory
from otel_coverage.store.store import BEHIND
from otel_coverage.store.table_state import STATEMENT

BLOCK_BYTES = 16 * 1024 * 1024  # of an insert, which feed all views together: memory is about seven times that
INSERT_SETTINGS = {
    # a failing materialized view would fail the insert after the spans are stored, and other collectors would retry it
    "materialized_views_ignore_errors": "1",
    "max_insert_block_size_bytes": str(BLOCK_BYTES),
    "min_insert_block_size_bytes": str(BLOCK_BYTES),
    "max_memory_usage": str(512 * 1024 * 1024),
}

MAX_QUERY_BYTES = 4 * 1024 * 1024
MAX_BUFFERED_BYTES = 4 * 1024 * 1024  # of a result, with wait_end_of_query

_FORM = "multipart/form-data"
_FORM_TIMEOUT = 20.0  # seconds
_DEFAULT_FORMAT = "TabSeparated"
# without header or footer around all blocks: the concatenated chunks are the whole result
_STREAMED_FORMATS = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
_QUERY_ID = re.compile(r"[\w.:-]{1,128}")
_DESCRIBE = re.compile(r"\s*DESC(RIBE)?\s+TABLE\s+[\w.`]+\s*(FORMAT\s+\w+\s*)?$", re.IGNORECASE)
_STATE = re.compile(re.escape(STATEMENT) + r"(?:\s+FORMAT\s+\w+)?\s*", re.IGNORECASE)
_SELECT = re.compile(r"\s*SELECT\b", re.IGNORECASE)
_SOURCE_WORD = re.compile(r"\bFROM\b", re.IGNORECASE)
_SOURCE = re.compile(r"\bFROM\s+([\w.]+)(?:\s+(?:WHERE|GROUP|ORDER|LIMIT|FORMAT)\b|\s*(?:\)|$))", re.IGNORECASE)
# what may name a table otherwise, or in a form that these expressions do not see
_OTHER_SOURCES = re.compile(r"\b(?:JOIN|IN)\b|--|/\*|[\"`#]|:\s*Identifier\b", re.IGNORECASE)
_INDEPENDENT = frozenset(
    {"run_windows", "coverage_run_windows", "coverage_schema", "system.databases", "system.settings"}
)


class ClickHouseApplication:
    """The WSGI application behind ``--clickhouse-endpoint``.

    Args:
        sessions: on the store that this process has open.
        access: the credentials that requests need.
        wait: waits, not for ever, until the store has what was accepted before; returns how many exports it lacks then.
        note_insert: called when spans or windows may have been inserted, before that is answered.
        memory: that what is inserted shares with requests to other endpoints; by default its own.
    """

    def __init__(
        self,
        sessions: SessionFactory,
        access: Access,
        wait: Callable[[], int] = lambda: 0,
        note_insert: Callable[[], None] = lambda: None,
        memory: RequestMemory | None = None,
    ) -> None:
        self._sessions = sessions
        self._access = access
        self._wait = wait
        self._note_insert = note_insert
        self._memory = memory or RequestMemory()

    def __call__(self, request: Request) -> Response:
        """Handle one request."""
        if request.path == "/ping":
            return Response("Ok.\n")
        query_id = request.args.get("query_id", "")
        headers = {
            "X-ClickHouse-Server-Display-Name": "otel-coverage",
            "X-ClickHouse-Query-Id": query_id if _QUERY_ID.fullmatch(query_id) else str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._sessions.timezone,
        }
        try:
            response = self._handle(request)
        except QueryError as error:
            response = self._error(error)
        except MemoryFullError as error:
            response = self._error(too_busy(str(error)))
        except (BodyTooLargeError, MaxSizeExceeded) as error:
            response = self._error(too_large(str(error) or f"the body is larger than {MAX_BODY_BYTES} bytes"))
        except BodyError as error:
            response = self._error(bad_arguments(str(error)))
        response.headers.extend(headers)
        return response

    def _handle(self, request: Request) -> Response:
        if not self._access.allows(request):
            raise authentication_failed(
                request.headers.get("X-ClickHouse-User") or request.args.get("user", DEFAULT_USER)
            )
        if request.path != "/":
            return Response("Not found; the paths are / and /ping\n", 404)
        if request.method not in ("GET", "POST"):
            return Response("Method not allowed; use GET or POST\n", 405)
        arguments = request.args.to_dict()
        if request.mimetype == _FORM:
            arguments |= _form_of(request)
            body: Iterable[bytes] = ()
        else:
            body = read_body(request, MAX_BODY_BYTES, in_blocks=is_true(arguments.get("decompress", "")))
        options = parse_options(arguments)
        query = arguments.get("query", "")
        database = request.headers.get("X-ClickHouse-Database") or arguments.get("database", "")
        insert = Insert.parse(query, self._sessions.traces)
        if insert is None:
            head, body = _statement_head(query, body)
            insert = Insert.parse(head, self._sessions.traces)
            if insert is not None:
                rest = head.encode("utf-8", "surrogateescape")
                data_start = len(head[: insert.length].encode("utf-8", "surrogateescape"))
                body = itertools.chain([rest[data_start:]], body)
        if insert is not None:
            if request.method != "POST":
                raise bad_arguments("INSERT needs the method POST")
            return self._insert(insert, body, database, options)
        sql = _statement_text(head, body)
        if is_known_deletion(sql):
            if request.method != "POST":
                raise bad_arguments("DELETE needs the method POST")
            return self._delete(sql, database, options)
        return self._read(sql, database, options, arguments, request)

    def _insert(self, insert: Insert, data: Iterable[bytes], database: str, options: RequestOptions) -> Response:
        self._sessions.check_database(insert.database or "")
        with self._memory.request() as share:
            chunks = deque(share.holding(data))  # before its turn, which a slow client would keep from others
            with self._sessions.open_inserting(database) as session:
                session.set({**options.settings, **INSERT_SETTINGS})
                try:
                    stats = session.insert(insert, _taken(chunks))
                finally:
                    self._note_insert()  # also where only a part was inserted
        response = Response("")
        response.headers["X-ClickHouse-Summary"] = _summary("written", stats)
        return response

    def _delete(self, sql: str, database: str, options: RequestOptions) -> Response:
        with self._sessions.open(database) as session:
            session.execute(sql, "Null", options.parameters)
        return Response("")

    def _read(
        self, sql: str, database: str, options: RequestOptions, arguments: dict[str, str], request: Request
    ) -> Response:
        if not sql.strip():
            raise bad_arguments("Empty query")
        default = request.headers.get("X-ClickHouse-Format") or arguments.get("default_format", _DEFAULT_FORMAT)
        check_format(default)
        behind = 0 if _is_independent_of_spans(sql) else self._wait()
        session = self._sessions.open_reading(database)
        request.environ[EXCHANGE].on_disconnect(session.cancel)
        streaming = False
        try:
            statement = self._sessions.judge(session, sql, options.parameters)
            session.read_only({**options.settings, **statement.settings})
            sql = mark_changeable_settings(statement.sql)
            output = statement.format or default
            headers = {"X-ClickHouse-Format": output, "X-ClickHouse-Summary": _summary("read", None, behind)}
            if not (statement.is_select and output in _STREAMED_FORMATS):
                result, stats = session.execute(sql, default, options.parameters)
                return Response(result, headers={**headers, "X-ClickHouse-Summary": _summary("read", stats, behind)})
            chunks = session.stream(sql, default, options.parameters)
            head = _head(chunks, MAX_BUFFERED_BYTES if options.wait_end_of_query else 1)
            # clients find an exception after the first byte of the result by this tag
            tag = secrets.token_hex(8)
            response = Response(_with_exception(itertools.chain(head, chunks), tag), headers=headers)
            response.headers["X-ClickHouse-Exception-Tag"] = tag
            response.call_on_close(chunks.close)
            response.call_on_close(session.close)
            streaming = True
            return response
        finally:
            if not streaming:
                session.close()

    def _error(self, error: QueryError) -> Response:
        response = Response(f"{error.text} (version {self._sessions.version})\n", error.status)
        response.headers["X-ClickHouse-Exception-Code"] = str(error.code)
        if error.status == 503:
            response.headers["Retry-After"] = "1"
        return response


def _taken(chunks: deque[bytes]) -> Iterator[bytes]:
    """The chunks, each forgotten when the next one is asked for."""
    while chunks:
        yield chunks.popleft()


def _form_of(request: Request) -> dict[str, str]:
    """The fields of a form: clickhouse-connect sends one where the parameters are too long for a URL."""
    request.max_form_memory_size = MAX_QUERY_BYTES
    with request.environ[EXCHANGE].receiving(_FORM_TIMEOUT):
        if request.files:
            raise not_implemented("external tables are not supported")
        return request.form.to_dict()


def _statement_head(query: str, body: Iterable[bytes]) -> tuple[str, Iterator[bytes]]:
    """The start of the statement, enough to recognize an insert, and the rest of the body.

    The URL's ``query`` comes before the body, as in ClickHouse.
    """
    chunks = iter(body)
    first = next(chunks, b"")
    while first and len(first) < 64 * 1024 and b"\n" not in first:
        chunk = next(chunks, None)
        if chunk is None:
            break
        first += chunk
    text = first.decode("utf-8", "surrogateescape")
    return (f"{query}\n{text}" if query and text else query + text), chunks


def _statement_text(head: str, rest: Iterable[bytes]) -> str:
    text = bytearray(head.encode("utf-8", "surrogateescape"))
    for chunk in rest:
        text += chunk
        if len(text) > MAX_QUERY_BYTES:
            break
    if len(text) > MAX_QUERY_BYTES:
        raise too_large(f"the statement is larger than {MAX_QUERY_BYTES} bytes")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise bad_arguments("the statement is not UTF-8") from error


def _head(chunks: Iterator[bytes], enough: int) -> list[bytes]:
    """The first chunks of a result, at least ``enough`` bytes: an error until then still gets an error's status."""
    head: list[bytes] = []
    size = 0
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size >= enough:
            break
    return head


def _with_exception(chunks: Iterable[bytes], tag: str) -> Iterator[bytes]:
    """A result; if it fails on the way, the exception in the form that clients look for."""
    try:
        yield from chunks
    except QueryError as error:
        text = error.text.encode()
        tag_bytes = tag.encode()
        yield b"\r\n__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (tag_bytes, text, len(text) + 1, tag_bytes)


def _is_independent_of_spans(sql: str) -> bool:
    """Whether the answer is the same before and after spans are inserted, and put into their runs.

    What a client asks that connects, what it asks to say when a playback begins or ends, and what a served page asks
    every few seconds, to learn whether anything came: none is to wait for what was recorded. Each table has to be
    known as one that has nothing of it; where that is not plain, it waits.
    """
    if _DESCRIBE.match(sql) or _STATE.fullmatch(sql):
        return True
    if not _SELECT.match(sql) or _OTHER_SOURCES.search(sql):
        return False
    sources = _SOURCE.findall(sql)
    return len(sources) == len(_SOURCE_WORD.findall(sql)) and _INDEPENDENT.issuperset(sources)


def _summary(verb: str, stats: QueryStats | None, behind: int = 0) -> str:
    counts = {"read_rows": 0, "read_bytes": 0, "written_rows": 0, "written_bytes": 0}
    if stats is not None:
        counts |= {f"{verb}_rows": stats.rows, f"{verb}_bytes": stats.bytes, "elapsed_ns": stats.nanoseconds}
    if behind:
        counts[BEHIND] = behind
    return json.dumps({name: str(count) for name, count in counts.items()})
