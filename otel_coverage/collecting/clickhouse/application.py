"""ClickHouse's HTTP interface, in the part that Rotel, clickhouse-connect and dashboards use."""

from __future__ import annotations

import itertools
import json
import re
import secrets
import uuid
from collections.abc import Iterable, Iterator

from cheroot.errors import MaxSizeExceeded
from werkzeug import Request, Response

from otel_coverage.collecting.bodies import MAX_BODY_BYTES, BodyError, BodyTooLargeError, body_of
from otel_coverage.collecting.clickhouse.access import DEFAULT_USER, Access
from otel_coverage.collecting.clickhouse.engine import Engine, Work
from otel_coverage.collecting.clickhouse.errors import (
    EngineError,
    bad_request,
    not_admitted,
    not_offered,
    too_large,
)
from otel_coverage.collecting.clickhouse.settings import Said, listing, what_is_said
from otel_coverage.collecting.clickhouse.statements import Insert, Reading
from otel_coverage.collecting.intake import SETTINGS as INTAKE_SETTINGS

MAX_QUERY_BYTES = 4 * 1024 * 1024
MAX_HELD_BYTES = 4 * 1024 * 1024  # of an answer whose reader waits for its end

_FORM = "multipart/form-data"
_DEFAULT_FORMAT = "TabSeparated"
_QUERY_ID = re.compile(r"[\w.:-]{1,128}")


class ClickHouseApplication:
    """What ``--clickhouse-endpoint`` serves.

    Args:
        engine: that this process holds.
        access: who may ask.
    """

    def __init__(self, engine: Engine, access: Access) -> None:
        self._engine = engine
        self._access = access

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        if request.path == "/ping":
            return Response("Ok.\n")
        query_id = request.args.get("query_id", "")
        headers = {
            "X-ClickHouse-Server-Display-Name": "otel-coverage",
            "X-ClickHouse-Query-Id": query_id if _QUERY_ID.fullmatch(query_id) else str(uuid.uuid4()),
            "X-ClickHouse-Timezone": self._engine.timezone,
        }
        try:
            response = self._answer(request)
        except EngineError as error:
            response = self._refused(error)
        except (BodyTooLargeError, MaxSizeExceeded) as error:
            response = self._refused(too_large(str(error) or f"the body holds more than {MAX_BODY_BYTES} bytes"))
        except BodyError as error:
            response = self._refused(bad_request(str(error)))
        response.headers.extend(headers)
        return response

    def _answer(self, request: Request) -> Response:
        if not self._access.admits(request):
            raise not_admitted(request.headers.get("X-ClickHouse-User") or request.args.get("user", DEFAULT_USER))
        if request.path != "/":
            return Response("There is / and /ping.\n", 404)
        if request.method not in ("GET", "POST"):
            return Response("Queries come by GET or POST.\n", 405)
        arguments = request.args.to_dict()
        if request.mimetype == _FORM:
            arguments |= _form_of(request)
            body: Iterable[bytes] = ()
        else:
            in_blocks = arguments.get("decompress", "0") not in ("", "0")
            body = body_of(request, MAX_BODY_BYTES, in_blocks=in_blocks)
        said = what_is_said(arguments)
        query = arguments.get("query", "")
        database = request.headers.get("X-ClickHouse-Database") or arguments.get("database", "")
        insert = Insert.parse(query)
        if insert is None:
            head, body = _head_of(query, body)
            insert = Insert.parse(head)
            if insert is not None:
                rest = head.encode("utf-8", "surrogateescape")
                begins = len(head[: insert.length].encode("utf-8", "surrogateescape"))
                body = itertools.chain([rest[begins:]], body)
        if insert is not None:
            if request.method != "POST":
                raise bad_request("data comes by POST")
            return self._inserted(insert, body, database, said)
        return self._read(_text_of(head, body), database, said, arguments, request)

    def _inserted(self, insert: Insert, data: Iterable[bytes], database: str, said: Said) -> Response:
        with self._engine.session(database, {**said.settings, **INTAKE_SETTINGS}) as session:
            work = session.insert(insert, data)
        response = Response("")
        response.headers["X-ClickHouse-Summary"] = _summary("written", work)
        return response

    def _read(self, sql: str, database: str, said: Said, arguments: dict[str, str], request: Request) -> Response:
        if not sql.strip():
            raise bad_request("Empty query")
        default = request.headers.get("X-ClickHouse-Format") or arguments.get("default_format", _DEFAULT_FORMAT)
        session = self._engine.session(database, said.settings)
        handed_on = False
        try:
            reading = Reading.of(session.normalized(sql), default)
            session.read_only()
            sql = listing(sql)
            headers = {"X-ClickHouse-Format": reading.format or default}
            if not reading.can_stream:
                answer, work = session.whole(sql, default, said.parameters)
                return Response(answer, headers={**headers, "X-ClickHouse-Summary": _summary("read", work)})
            pieces = session.pieces(sql, default, said.parameters)
            held = _held(pieces, MAX_HELD_BYTES if said.waits else 1)
            # the tag tells an error's text, in the middle of an answer, from what the answer may hold
            tag = secrets.token_hex(8)
            response = Response(_with_error(itertools.chain(held, pieces), tag), headers=headers)
            response.headers["X-ClickHouse-Exception-Tag"] = tag
            response.call_on_close(pieces.close)
            response.call_on_close(session.close)
            handed_on = True
            return response
        finally:
            if not handed_on:
                session.close()

    def _refused(self, error: EngineError) -> Response:
        response = Response(f"{error.text} (version {self._engine.version})\n", error.status)
        response.headers["X-ClickHouse-Exception-Code"] = str(error.code)
        return response


def _form_of(request: Request) -> dict[str, str]:
    """The fields of a form, which is what clickhouse-connect sends where parameters are too long for a URL."""
    request.max_form_memory_size = MAX_QUERY_BYTES
    if request.files:
        raise not_offered("external data is not taken")
    return request.form.to_dict()


def _head_of(query: str, body: Iterable[bytes]) -> tuple[str, Iterator[bytes]]:
    """Enough of the statement to tell an insert, and the rest of the body: a URL's query comes before the body's."""
    pieces = iter(body)
    first = next(pieces, b"")
    while first and len(first) < 64 * 1024 and b"\n" not in first:
        piece = next(pieces, None)
        if piece is None:
            break
        first += piece
    text = first.decode("utf-8", "surrogateescape")
    return (f"{query}\n{text}" if query and text else query + text), pieces


def _text_of(head: str, rest: Iterable[bytes]) -> str:
    text = bytearray(head.encode("utf-8", "surrogateescape"))
    for piece in rest:
        text += piece
        if len(text) > MAX_QUERY_BYTES:
            break
    if len(text) > MAX_QUERY_BYTES:
        raise too_large(f"the statement is longer than {MAX_QUERY_BYTES} bytes")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise bad_request("the statement is not UTF-8") from error


def _held(pieces: Iterator[bytes], enough: int) -> list[bytes]:
    """The beginning of an answer: whatever fails until there is enough of it has an error's status."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= enough:
            break
    return held


def _with_error(pieces: Iterable[bytes], tag: str) -> Iterator[bytes]:
    """An answer; where it fails on the way, the error in the form in which clients look for it."""
    try:
        yield from pieces
    except EngineError as error:
        text = error.text.encode()
        marks = tag.encode()
        yield b"\r\n__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (marks, text, len(text) + 1, marks)


def _summary(verb: str, work: Work) -> str:
    counts = {"read_rows": 0, "read_bytes": 0, "written_rows": 0, "written_bytes": 0}
    counts |= {f"{verb}_rows": work.rows, f"{verb}_bytes": work.bytes, "elapsed_ns": work.nanoseconds}
    return json.dumps({name: str(count) for name, count in counts.items()})
