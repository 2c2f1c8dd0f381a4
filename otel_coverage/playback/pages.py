"""What a page holds for the requests that follow it: the fields of its forms, and its CSRF tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

_FIELD = re.compile(
    r"(?i)(?:_?csrf[-_]?(?:token|middlewaretoken)?|authenticity_token|xsrf[-_]?token|__RequestVerificationToken)"
)
_HEADER = re.compile(r"(?i)X-(?:CSRF|XSRF)-?Token|X-CSRFToken|X-XSRFToken|RequestVerificationToken")

COOKIES: Mapping[str, str] = {"csrftoken": "X-CSRFToken", "XSRF-TOKEN": "X-XSRF-TOKEN", "csrf_token": "X-CSRF-Token"}
"""Cookies that a page's script sends back in a header, the double-submit pattern: Django, Angular and axios, others."""

HEADER = "X-CSRFToken"
"""The header that Flask-WTF and Django read."""

_LARGEST = 4 * 1024 * 1024  # characters of a page that are looked at


def is_token_field(name: str) -> bool:
    """Whether a form field, a JSON key or a meta tag of that name holds a CSRF token."""
    return _FIELD.fullmatch(name) is not None


def is_token_header(name: str) -> bool:
    """Whether a request header of that name holds a CSRF token."""
    return _HEADER.fullmatch(name) is not None


@dataclass(slots=True)
class Form:
    """A form of a page.

    Attributes:
        path: that it is sent to.
        fields: name → value; the first of each name. Of boxes, those that are checked.
        hidden: the names of those that a user does not see.
        files: the names of the fields for files.
    """

    path: str
    fields: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """A page.

    Attributes:
        forms: in the order of the page; the first one holds the fields that are in no form.
        token: of its meta tag.
    """

    forms: list[Form]
    token: str | None = None

    @classmethod
    def of(cls, response: httpx.Response) -> Page:
        """The page that a response is; an empty one, if it is not HTML."""
        is_page = "html" in response.headers.get("content-type", "")
        return cls.parse(response.text, response.url.path) if is_page else cls([Form(response.url.path)])

    @classmethod
    def parse(cls, text: str, path: str) -> Page:
        """Parse HTML, however malformed.

        Args:
            text: the HTML.
            path: of the page, which forms without an action are sent to.
        """
        parser = _Parser(path)
        parser.feed(text[:_LARGEST])
        return parser.page

    def field(self, name: str) -> str | None:
        """The value of the first field of that name."""
        return next((form.fields[name] for form in self.forms if name in form.fields), None)

    def csrf_token(self, path: str) -> str | None:
        """The token for a request to that path: of the form that is sent there, else of the meta tag, else of any."""
        here = [form for form in self.forms if form.path == path]
        tokens = (*_tokens(here), *([self.token] if self.token else ()), *_tokens(self.forms))
        return next(iter(tokens), None)


def _tokens(forms: list[Form]) -> Iterator[str]:
    return (value for form in forms for name, value in form.fields.items() if value and is_token_field(name))


class _Parser(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.page = Page([Form(path)])
        self._path = path
        self._form = self.page.forms[0]
        self._area = self._choice = ""  # the field whose text, or whose options, are being read
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in reversed(attrs)}
        name = given.get("name", "")
        if tag == "form":
            self._form = Form(urlsplit(urljoin(self._path, given.get("action", ""))).path)
            self.page.forms.append(self._form)
        elif tag == "input" and name:
            self._add_input(name, given.get("type", "text").lower(), given)
        elif tag == "textarea" and name:
            self._area, self._text = name, []
        elif tag == "select":
            self._choice = name
        elif tag == "option" and self._choice and "value" in given:
            if "selected" in given:
                self._form.fields[self._choice] = given["value"]
            else:
                self._form.fields.setdefault(self._choice, given["value"])
        elif tag == "meta" and is_token_field(name) and not self.page.token:
            self.page.token = given.get("content")

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = self.page.forms[0]
        elif tag == "textarea" and self._area:
            self._form.fields.setdefault(self._area, "".join(self._text).removeprefix("\n"))
            self._area = ""
        elif tag == "select":
            self._choice = ""

    def _add_input(self, name: str, kind: str, given: Mapping[str, str]) -> None:
        if kind == "file":
            self._form.files.append(name)
        elif kind in ("checkbox", "radio"):
            if "checked" in given:
                self._form.fields.setdefault(name, given.get("value", "on"))
        elif kind not in ("submit", "button", "reset", "image"):
            self._form.fields.setdefault(name, given.get("value", ""))
            if kind == "hidden":
                self._form.hidden.add(name)
