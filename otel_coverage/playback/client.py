"""The HTTP client of one profile's playback: its cookies, and where redirects lead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from email.message import Message
from http.cookiejar import Cookie, CookieJar
from typing import Any
from urllib.request import Request

import httpx

_DOMAIN = re.compile(r"(?i);\s*domain=[^;]*")


class _NoFile(str):
    """The file name of a field in which no file was chosen: empty, and sent nevertheless, as browsers do."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


NO_FILE = _NoFile()


class RedirectError(Exception):
    """A redirect leads away from the application."""


def open_client(base_url: str, host: str | None, timeout: float) -> httpx.Client:
    """A client without cookies that follows no redirects.

    Args:
        base_url: of the application.
        host: sent as the header ``Host``; None for the base URL's.
        timeout: seconds that the server may be silent.
    """
    jar = _HostCookies(are_secure=not is_loopback(httpx.URL(base_url).host))
    headers = {"Host": host} if host is not None else {}
    return httpx.Client(cookies=jar, timeout=timeout, headers=headers)


def is_loopback(host: str) -> bool:
    """Whether browsers accept and send ``Secure`` cookies of that host over plain HTTP, too."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def origin(base_url: str, host: str | None) -> str:
    """The origin that the application sees."""
    url = httpx.URL(base_url)
    return f"{url.scheme}://{host or url.netloc.decode('ascii')}"


def redirect_target(response: httpx.Response, base_url: str, hosts: Collection[str]) -> str:
    """The URL that a redirect leads to, on the host that is played against.

    Args:
        response: the redirect.
        base_url: of the application.
        hosts: other names of the application, each ``host`` or ``host:port``.

    Raises:
        RedirectError: it leads to another host, or nowhere.
    """
    location = response.headers["location"]
    try:
        url = response.url.join(location)
    except httpx.InvalidURL as error:
        raise RedirectError(f"redirects to {location!r}, which is not a URL") from error
    base = httpx.URL(base_url)
    if (url.scheme, url.netloc) == (base.scheme, base.netloc):
        return str(url)
    if url.scheme in ("http", "https") and {url.host, url.netloc.decode("ascii")} & {*hosts, base.host}:
        return str(base.copy_with(raw_path=url.raw_path, fragment=None))
    raise RedirectError(
        f"redirects to {location}, which is not the application at {base_url}: "
        '"hosts" in the header of the recording names other hosts that are, "follow": false in its line does not follow'
    )


def matches(path: str, expected: str) -> bool:
    """Whether a path is the expected one, in which ``*`` is any one segment."""
    found, wanted = path.split("/"), expected.split("/")
    return len(found) == len(wanted) and all(
        one == other or (other == "*" and one != "") for one, other in zip(found, wanted, strict=True)
    )


def multipart(fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, tuple[Any, ...]]]) -> list[tuple[str, Any]]:
    """Parts of a multipart form, in order."""
    return [*((name, (None, value.encode())) for name, value in fields), *files]


class _HostCookies(CookieJar):
    """Cookies that belong to the host that is asked, whatever domain the application believes that it has.

    Args:
        are_secure: whether those marked ``Secure`` are sent over HTTPS alone. No policy says it: httpx copies the
            cookies into a jar of its own before it sends them.
    """

    def __init__(self, *, are_secure: bool) -> None:
        super().__init__()
        self._are_secure = are_secure

    def make_cookies(self, response: Any, request: Request) -> Sequence[Cookie]:
        cookies = super().make_cookies(_WithoutDomains(response), request)  # type: ignore[arg-type]
        for cookie in cookies:
            cookie.secure = cookie.secure and self._are_secure
        return cookies


class _WithoutDomains:
    def __init__(self, response: Any) -> None:
        self._response = response

    def info(self) -> Message:
        message: Message = self._response.info()
        cookies = message.get_all("Set-Cookie", [])
        del message["Set-Cookie"]
        for each in cookies:
            message["Set-Cookie"] = _DOMAIN.sub("", each)
        return message
