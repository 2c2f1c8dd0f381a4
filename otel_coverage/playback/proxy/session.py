"""What passed through the proxy: a list of exchanges, and what the person at the browser has to know at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from mmap import mmap
from urllib.parse import urljoin, urlsplit

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.converting import Exchange, Rules, Source
from otel_coverage.playback.converting.exchange import KEPT_TEXT
from otel_coverage.playback.converting.multipart import parts
from otel_coverage.playback.proxy.bodies import AnswerText, RequestBody
from otel_coverage.playback.proxy.target import Target

_REDIRECTS = (301, 302, 303, 307, 308)
_KINDS = {"style": "stylesheet", "empty": "fetch", "audio": "media", "video": "media", "track": "texttrack"}


@dataclass(slots=True)
class Passing:
    """A request on its way, and its answer.

    Attributes:
        number: from 1, in the order of the requests.
        method: of the request.
        url: at the application.
        headers: of the request, as the application gets them.
        body: of the request.
        status: of the answer; 0 before there is one.
        answer_headers: as the application sent them.
        text: of the answer.
        seconds: until the end of the answer.
        is_open: whether it goes on.
        made: the exchange that it became.
    """

    number: int
    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: RequestBody | None = None
    status: int = 0
    answer_headers: Sequence[tuple[str, str]] = ()
    text: AnswerText | None = None
    began: float = field(default_factory=time.time)
    seconds: float = 0.0
    is_open: bool = True
    made: Exchange | None = None

    def header(self, name: str) -> str:
        """A header of the request, by its lower-case name; empty without one."""
        return _header(self.headers, name)

    def answer_header(self, name: str) -> str:
        """A header of the answer, by its lower-case name; empty without one."""
        return _header(self.answer_headers, name)

    @property
    def is_stream(self) -> bool:
        """Whether its answer goes on until somebody ends it."""
        return self.status == 101 or self.answer_header("content-type").startswith("text/event-stream")

    def exchange(self) -> Exchange:
        """It, as it is converted; once it has ended, always the same."""
        if self.made is None or self.is_open:
            self.made = self._exchange()
        return self.made

    def _exchange(self) -> Exchange:
        kind = self.header("content-type")
        lost = self.body.lost if self.body is not None else ""
        content = self.body.content() if self.body is not None and not lost else b""
        is_form = kind.lower().startswith("multipart/form-data")
        found = parts(kind, content) if is_form else []
        text = None if found or (is_form and content) else _text(kind, content)
        destination = self.header("sec-fetch-dest")
        return Exchange(
            number=self.number,
            method=self.method,
            url=self.url,
            headers=[(name.lower(), value) for name, value in self.headers],
            type=kind,
            text=text,
            parts=found,
            status=self.status,
            answer_headers=[(name.lower(), value) for name, value in self.answer_headers],
            answer_type=self.answer_header("content-type").lower(),
            answer=self.text.text() if self.text is not None else "",
            began=self.began,
            seconds=self.seconds,
            kind=_KINDS.get(destination, destination),
            content=memoryview(content) if text is None and not found else None,
            lost=lost,
        )


@dataclass(frozen=True, slots=True)
class Entrance:
    """A path of the proxy's own, at which the browser gets a session that has begun. Nobody can guess it.

    Attributes:
        path: of the proxy.
        page: path and query of the application, to which it leads.
        cookies: values of ``Set-Cookie``.
    """

    path: str
    page: str
    cookies: tuple[str, ...]


class Session:
    """All that passed, and what is said of it.

    Attributes:
        target: the application.
        stopped: set when nothing more is to be recorded.
        entrance: where the browser goes on with a session that has begun; None where it begins by itself.
    """

    def __init__(self, target: Target, say: Callable[[str], None], show: Callable[[Passing], None]) -> None:
        """
        Args:
            target: the application.
            say: called with what the person at the browser has to know, in one line.
            show: called with what has passed.
        """
        self.target = target
        self.stopped = threading.Event()
        self.entrance: Entrance | None = None
        self._first = 0  # of those that are converted
        self._reopened: Passing | None = None  # the page that the entrance leads to, which was recorded before
        self._say = say
        self._show = show
        self._passed: list[Passing] = []
        self._said: set[str] = set()
        self._cookies: set[str] = set()  # that answers have set

    def begin(self, method: str, url: str, headers: Sequence[tuple[str, str]]) -> Passing:
        """A request has come."""
        passing = Passing(len(self._passed) + 1, method.upper(), url, headers)
        is_first = self.entrance is not None and len(self._passed) == self._first
        if is_first and self.entrance is not None and url == self.target.origin + self.entrance.page:
            self._reopened = passing
        self._passed.append(passing)
        foreign = sorted(set(_cookie_names(passing.header("cookie"))) - self._cookies)
        if foreign and not self._cookies:
            self._say_once(
                "cookies",
                f"the browser sends cookies that are older than this recording ({', '.join(foreign)}): others of this "
                "machine, or an earlier login; begin in a private window to record the login, too",
            )
        return passing

    def answered(self, passing: Passing, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """The head of an answer has come."""
        passing.status, passing.answer_headers = status, [*self._readable(passing.url, headers)]
        passing.text = AnswerText(passing.answer_header("content-type"), passing.answer_header("content-encoding"))
        self._cookies |= {value.partition("=")[0].strip() for name, value in headers if name.lower() == "set-cookie"}
        if passing.is_stream:
            what = "a WebSocket" if status == 101 else "an event stream"
            self._say_once(what, f"{_path(passing)} is {what}: it is passed on, and not recorded")
        location = _header(headers, "location")
        if status in _REDIRECTS and location and self.target.own_path(location, passing.url) is None:
            self._say_where(passing, location)

    def ended(self, passing: Passing) -> None:
        """The answer has ended, or will not come."""
        passing.is_open = False
        passing.seconds = time.time() - passing.began
        if passing.body is not None and passing.body.lost:
            self._say(f"{_path(passing)}: {passing.body.lost}")
        is_page = "html" in passing.answer_header("content-type")
        if is_page and passing.text is not None and self.target.origin in passing.text.text():
            self._say_once(
                "links",
                f"{_path(passing)} names {self.target.origin} itself: where a link leads there, the browser leaves the "
                "proxy, and what it does is not recorded",
            )
        self._show(passing)

    def failed(self, passing: Passing, reason: str) -> None:
        """The application did not answer."""
        self._say(f"{_path(passing)}: {reason}")

    def open_answers(self) -> int:
        """How many answers have not ended, streams aside."""
        return sum(each.is_open and not each.is_stream for each in self._passed)

    def passed(self) -> int:
        """How many requests have come."""
        return len(self._passed)

    def go_on(self, entrance: Entrance) -> None:
        """Record what comes from now on, from a browser that comes through the entrance."""
        self.entrance, self._first = entrance, len(self._passed)

    def exchanges(self, begin: int, end: int, *, without: str) -> list[Exchange]:
        """Some of what passed, without the polls of a job status resource at that path."""
        rules = Rules((self.target.host, *self.target.hosts), without)
        found = [each.exchange() for each in self._passed[begin:end]]
        return [each for each in found if rules.reason(each) != "polls"]

    def source(self) -> Source:
        """What passed, to be converted.

        Raises:
            ConfigurationError: nothing did.
        """
        if len(self._passed) == self._first:
            raise ConfigurationError("the proxy: no request has come; nothing was written")
        return Source(
            "the proxy",
            [each.exchange() for each in self._passed[self._first :] if each is not self._reopened],
            "record again in a private window, from before the login",
            is_lasting=False,
        )

    def _readable(self, url: str, headers: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Headers of an answer: what leads to any name of the application leads to the one that is recorded."""
        for name, value in headers:
            if name.lower() != "location":
                yield name, value
                continue
            path = self.target.own_path(value, url)
            if path is not None:
                yield name, self.target.origin + path
            elif _is_url(value):
                yield name, value

    def _say_where(self, passing: Passing, location: str) -> None:
        """Say that a redirect leads away; its query may hold secrets."""
        try:
            parts = urlsplit(urljoin(passing.url, location))
            host = parts.netloc.rpartition("@")[2]
        except ValueError:
            self._say(f"{_path(passing)} redirects to what is not a URL")
            return
        where = f"{_path(passing)} redirects to {parts.scheme}://{host}{parts.path}"
        if parts.hostname == self.target.address[0] and (parts.scheme, self.target.scheme) == ("https", "http"):
            self._say(f"{where}: the application wants HTTPS; record with --target https://{host}")
            return
        self._say(
            f"{where}: that host is not behind the proxy, nothing there is recorded, and a sign-on there returns to "
            f"the address that is registered with it, not to the proxy; if it is the application's, add --host {host}"
        )

    def _say_once(self, key: str, message: str) -> None:
        if key not in self._said:
            self._said.add(key)
            self._say(message)


def _text(kind: str, content: bytes | mmap) -> str | None:
    """A body as text; None for one that is not text, or is kept as a file. What may have secrets has to be read."""
    is_read = any(each in kind.lower() for each in ("json", "x-www-form-urlencoded"))
    if len(content) > KEPT_TEXT and not is_read:
        return None
    try:
        return bytes(content).decode()
    except UnicodeDecodeError:
        return None


def _path(passing: Passing) -> str:
    return f"{passing.method} {urlsplit(passing.url).path}"


def _is_url(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme or text)
    except ValueError:
        return False


def _header(headers: Sequence[tuple[str, str]], name: str) -> str:
    return next((value for each, value in headers if each.lower() == name), "")


def _cookie_names(header: str) -> list[str]:
    return [name for name in (pair.partition("=")[0].strip() for pair in header.split(";")) if name]
