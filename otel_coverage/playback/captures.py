"""Values of an answer that later requests contain: an id, a token, the path that it redirects to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx

from otel_coverage.playback.pages import Page


class CaptureError(Exception):
    """The answer has no such value."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Where a value is found. One of ``json``, ``field``, ``header`` says where; else ``regex`` searches the body.

    Attributes:
        json: a JSON pointer (RFC 6901).
        field: name of a form field of a page.
        header: name of a response header.
        regex: searched in the header or the body: its first group, or what it matches, is the value.
    """

    json: str | None = None
    field: str | None = None
    header: str | None = None
    regex: str | None = None

    def value(self, first: httpx.Response, last: httpx.Response) -> Any:
        """The value.

        Args:
            first: the answer to the step's own request, whose headers count.
            last: the answer after redirects, whose body counts.

        Raises:
            CaptureError: there is none.
        """
        if self.json is not None:
            return _at(last, self.json)
        if self.field is not None:
            found = Page.of(last).field(self.field)
            if found is None:
                raise CaptureError(f"the page has no form field {self.field!r}: {excerpt(last)}")
            return found
        where, text = "body", ""
        if self.header is not None:
            where = f"header {self.header}"
            if self.header not in first.headers:
                raise CaptureError(f"the response has no header {self.header!r}")
            text = first.headers[self.header]
        else:
            text = last.text
        if self.regex is None:
            return text
        match = re.search(self.regex, text)
        if match is None:
            shown = text if self.header is not None else excerpt(last)
            raise CaptureError(f"nothing in the {where} of the response matches {self.regex!r}: {shown}")
        value = match[1] if match.re.groups else match[0]
        return unquote(value) if self.header is not None and self.header.lower() == "location" else value


def excerpt(response: httpx.Response) -> str:
    """The beginning of a body, in one line."""
    return " ".join(response.text[:200].split()) or "empty response"


def _at(response: httpx.Response, pointer: str) -> Any:
    try:
        value = response.json()
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise CaptureError(f"the response has no value at {pointer!r}: {excerpt(response)}") from None
    return value
