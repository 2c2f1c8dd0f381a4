"""Requests and their answers, as a browser's HAR file or the recording proxy has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KEPT_TEXT = 1024 * 1024  # characters of an answer that are looked at

Content = bytes | memoryview
"""Bytes of a body; a view of what lies in a file where there are many."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form.

    Attributes:
        name: of the field.
        value: its text; empty for a file.
        file: the name of a file; None for a plain field.
        type: media type of a file.
        content: of a file; None where it is not known.
    """

    name: str
    value: str
    file: str | None = None
    type: str | None = None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer.

    Attributes:
        number: of the exchange, from 1.
        method: in upper case.
        url: absolute.
        headers: of the request: lower-case name and value; without those of HTTP/2 that begin with a colon.
        type: media type of the request's body; empty without one.
        text: the request's body; None where it is not known, or no text.
        parts: of a multipart form, or of another one whose text is not known.
        status: of the answer; 0 or less where there was none.
        answer_headers: lower-case name and value.
        answer_type: media type of the answer, in lower case.
        answer: the beginning of a textual answer; empty for any other.
        began: seconds since the epoch.
        seconds: from the request to the end of the answer.
        kind: what the browser wanted it for (``document``, ``fetch``, ``image`` …); empty where it does not say.
        is_cached: whether the answer came from the browser's cache.
        content: the request's body where it is not text.
        lost: why the request's body is not known, where the source says so.
    """

    number: int
    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    type: str
    text: str | None
    parts: Sequence[Part]
    status: int
    answer_headers: Sequence[tuple[str, str]]
    answer_type: str
    answer: str
    began: float
    seconds: float
    kind: str = ""
    is_cached: bool = False
    content: Content | None = None
    lost: str = ""

    def header(self, name: str) -> str:
        """The first request header of that lower-case name; empty without one."""
        return next((value for each, value in self.headers if each == name), "")

    def answer_header(self, name: str) -> str:
        """The first response header of that lower-case name; empty without one."""
        return next((value for each, value in self.answer_headers if each == name), "")


@dataclass(frozen=True, slots=True)
class Source:
    """Where exchanges come from.

    Attributes:
        name: for messages.
        exchanges: in the order of the requests.
        with_login: how a recording is made that has the login, too.
        is_lasting: whether what is refused can be converted again, with other options.
    """

    name: str
    exchanges: Iterable[Exchange]
    with_login: str
    is_lasting: bool = True
