"""A request on its way into a playback recording: its texts can be replaced by placeholders one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit

from otel_coverage.playback import templates
from otel_coverage.playback.converting.documents import parse_json
from otel_coverage.playback.converting.exchange import Content, Exchange, Part

_NONE: Any = object()

_DROPPED = {
    *("host", "connection", "content-length", "cookie", "user-agent", "accept-encoding", "origin", "referer", "te"),
    *("cache-control", "pragma", "upgrade-insecure-requests", "priority", "if-none-match", "if-modified-since", "dnt"),
    *("expect", "if-unmodified-since"),
    *("transfer-encoding", "keep-alive", "purpose", "save-data", "viewport-width", "downlink", "rtt", "ect", "via"),
    *("device-memory", "x-client-data", "traceparent", "tracestate", "baggage", "b3", "sentry-trace", "content-type"),
}
_DROPPED_PREFIXES = ("sec-", "proxy-", "x-b3-", "x-profile-", "x-forwarded-", "access-control-")
_PAGE = "text/html,*/*;q=0.8"


class Place(NamedTuple):
    """Where a text stands in a request.

    Attributes:
        kind: ``segment``, ``query``, ``form``, ``json``, ``header`` or ``body``.
        name: of the parameter, field, key or header; of a segment, the one before it.
    """

    kind: str
    name: str


Replace = Callable[[Any, Place], Any]


@dataclass(slots=True)
class File:
    """A file that a form has.

    Attributes:
        field: of the form.
        name: of the file; None where none was chosen.
        type: its media type.
        content: None where it is not known.
    """

    field: str
    name: str | None
    type: str | None = None
    content: Content | None = None


@dataclass(slots=True)
class Draft:
    """A request. Its texts hold placeholders; a literal ``${…}`` is escaped.

    Attributes:
        exchanges: the request's, then those of redirects that it led to.
        raw: a body that is not text, as a file.
        lost_body: whether the body of the request is not known.
    """

    exchanges: list[Exchange]
    segments: list[str] = field(default_factory=list)
    query: list[tuple[str, str]] = field(default_factory=list)
    bare_query: str | None = None  # a query that is not a list of parameters
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = _NONE
    form: list[tuple[str, str]] = field(default_factory=list)
    is_multipart: bool = False
    files: list[File] = field(default_factory=list)
    body: str | None = None
    raw: File | None = None
    redirect: list[str] | None = None
    follow: bool = True
    captures: dict[str, Any] = field(default_factory=dict)
    think: float = 0.0
    lost_body: bool = False

    @classmethod
    def of(cls, exchange: Exchange) -> Draft:
        """The request of an exchange."""
        parts = urlsplit(exchange.url)
        draft = cls([exchange], [templates.escape(unquote(each)) for each in (parts.path or "/").split("/")])
        if "=" in parts.query:
            draft.query = [
                (templates.escape(name), templates.escape(value))
                for name, value in parse_qsl(parts.query, keep_blank_values=True)
            ]
        elif parts.query:
            draft.bare_query = templates.escape(unquote_plus(parts.query))
        draft.headers = dict(_headers(exchange))
        draft._set_body(exchange)
        return draft

    @property
    def exchange(self) -> Exchange:
        """The first one."""
        return self.exchanges[0]

    @property
    def has_json(self) -> bool:
        """Whether it has a JSON body."""
        return self.json is not _NONE

    def replace(self, change: Replace) -> None:
        """Call ``change(text or number, place)`` for each value of the request, and put what it returns there."""
        self.segments = [
            change(each, Place("segment", self.segments[number - 1])) if each else each
            for number, each in enumerate(self.segments)
        ]
        self.query = [(name, change(value, Place("query", name))) for name, value in self.query]
        self.form = [(name, change(value, Place("form", name))) for name, value in self.form]
        self.headers = {name: change(value, Place("header", name)) for name, value in self.headers.items()}
        if self.has_json:
            self.json = _replace_json(self.json, "", change)
        if self.body is not None:
            self.body = change(self.body, Place("body", ""))
        if self.bare_query is not None:
            self.bare_query = change(self.bare_query, Place("query", ""))

    def path(self) -> str:
        """Path and query, percent-encoded but for placeholders."""
        path = "/".join(_encoded(each, quote) for each in self.segments)
        if self.query:
            pairs = ("=".join(_encoded(each, quote_plus) for each in pair) for pair in self.query)
            return f"{path}?{'&'.join(pairs)}"
        return path if self.bare_query is None else f"{path}?{_encoded(self.bare_query, quote_plus)}"

    def line(self, file_paths: dict[int, str], raw_path: str = "") -> dict[str, Any]:
        """The line of the playback recording.

        Args:
            file_paths: where files were put, by their index in ``files``.
            raw_path: where the body was put that is not text.
        """
        line: dict[str, Any] = {"method": self.exchange.method, "path": self.path(), "status": self.exchange.status}
        if self.redirect is not None:
            line["redirect"] = "/".join(self.redirect)
        if not self.follow:
            line["follow"] = False
        if self.headers:
            line["headers"] = self.headers
        if self.has_json:
            line["json"] = self.json
        if self.form:
            line["form"] = _grouped(self.form)
        if self.is_multipart and self.form and not self.files:
            line["multipart"] = True
        if self.files:
            line["files"] = _grouped(
                (file.field, None if file.name is None else _upload(file, file_paths[number]))
                for number, file in enumerate(self.files)
            )
        if self.body is not None:
            line["body"] = self.body
        elif self.raw is not None:
            line["body"] = {"file": raw_path}
        if self.captures:
            line["capture"] = self.captures
        if self.think >= 0.01:
            line["think"] = round(self.think, 2)
        return line

    def _set_body(self, exchange: Exchange) -> None:
        kind = exchange.type.partition(";")[0].strip().lower()
        if exchange.content is not None:
            self.raw = File("", "body.bin", content=exchange.content)
            if exchange.type:
                self.headers["Content-Type"] = exchange.type
        elif exchange.lost:
            self.lost_body = True
        elif exchange.text is None and not exchange.parts:
            length = exchange.header("content-length")
            self.is_multipart = kind == "multipart/form-data"
            self.lost_body = bool(kind) and length != "0" and exchange.method not in ("GET", "HEAD")
        elif kind == "application/x-www-form-urlencoded":
            pairs = [(part.name, part.value) for part in exchange.parts]
            if exchange.text:  # what was really sent; browsers differ in how far they decode the others
                pairs = parse_qsl(exchange.text, keep_blank_values=True)
            self.form = [(templates.escape(name), templates.escape(value)) for name, value in pairs]
        elif kind == "multipart/form-data":
            self.is_multipart = True
            for part in exchange.parts:
                self._add_part(part)
        elif exchange.text:
            try:
                self.json = templates.escape(parse_json(exchange.text)) if "json" in kind else _NONE
            except ValueError:
                self.json = _NONE
            if not self.has_json:
                self.body = templates.escape(exchange.text)
            if self.body is not None or kind != "application/json":
                self.headers["Content-Type"] = exchange.type

    def _add_part(self, part: Part) -> None:
        if part.file is None:
            self.form.append((templates.escape(part.name), templates.escape(part.value)))
        else:
            self.files.append(File(part.name, part.file or None, part.type, part.content))


def substitute(text: str, value: str, placeholder: str) -> str:
    """A text with a value replaced by a placeholder, but not inside of placeholders that it has."""
    return "".join(
        piece if is_placeholder else piece.replace(value, placeholder)
        for piece, is_placeholder in templates.pieces(text)
    )


def _encoded(text: str, encode: Callable[[str, str], str]) -> str:
    return "".join(
        piece if is_placeholder else encode(piece, "!'()*,:@~$;") for piece, is_placeholder in templates.pieces(text)
    )


def _headers(exchange: Exchange) -> list[tuple[str, str]]:
    kept = []
    for name, value in exchange.headers:
        if name in _DROPPED or name.startswith(_DROPPED_PREFIXES) or (name == "accept" and value == "*/*"):
            continue
        text = _PAGE if name == "accept" and value.startswith("text/html") else value
        kept.append(("-".join(word.capitalize() for word in name.split("-")), templates.escape(text)))
    return kept


def _replace_json(value: Any, name: str, change: Replace) -> Any:
    if isinstance(value, dict):
        return {key: _replace_json(item, key, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_json(item, name, change) for item in value]
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return change(value, Place("json", name))
    return value


def _grouped(pairs: Any) -> dict[str, Any]:
    """Values by name; a list where there are several."""
    found: dict[str, list[Any]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _upload(file: File, path: str) -> Any:
    if path.rpartition("/")[2] == file.name and not file.type:
        return path
    return {"path": path, "name": file.name, **({"type": file.type} if file.type else {})}
