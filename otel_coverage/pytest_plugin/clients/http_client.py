"""The standard library's client, and what is built on it: requests, urllib3, urllib.request, xmlrpc, boto3, …."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from otel_coverage.pytest_plugin.clients import Clients
from otel_coverage.pytest_plugin.plays import TRACED_HEADER, TRACEPARENT, Call, names_itself
from otel_coverage.pytest_plugin.targets import Origin

_Call = Callable[..., Any]
_Args = tuple[Any, ...]
_Kwargs = dict[str, Any]


class _Request:
    """A request whose headers are being put together."""

    def __init__(self, method: str, url: str, origin: Origin) -> None:
        self.method, self.url, self.origin = method, url, origin
        self.headers: dict[str, str] = {}
        self.call: Call | None = None


def install(clients: Clients) -> None:
    """Hook into the class of connections: each request is written by these four methods, redirects and retries, too."""
    requests: WeakKeyDictionary[http.client.HTTPConnection, _Request] = WeakKeyDictionary()

    def putrequest(call: _Call, connection: Any, args: _Args, kwargs: _Kwargs) -> Any:
        result = call(*args, **kwargs)
        requests.pop(connection, None)
        method = str(kwargs.get("method", args[0] if args else ""))
        url = str(kwargs.get("url", args[1] if len(args) > 1 else ""))
        origin = _origin(connection, url)
        if origin is not None and clients.play_for(origin) is not None:
            requests[connection] = _Request(method, url, origin)
        return result

    def putheader(call: _Call, connection: Any, args: _Args, kwargs: _Kwargs) -> Any:
        request = requests.get(connection)
        if request is not None and args:
            request.headers[_text(args[0]).lower()] = ",".join(map(_text, args[1:]))
        return call(*args, **kwargs)

    def endheaders(call: _Call, connection: Any, args: _Args, kwargs: _Kwargs) -> Any:
        request = requests.get(connection)
        play = clients.play_for(request.origin) if request is not None else None
        if request is None or play is None or names_itself(request.headers):
            requests.pop(connection, None)
            return call(*args, **kwargs)
        path = request.url.partition("?")[0]
        shown = path if "://" in path else f"{_scheme(connection)}://{request.origin}{path}"
        is_continued = TRACEPARENT in request.headers  # as OpenTelemetry's instrumentations of clients have it
        request.call = play.call(request.method, shown, request.origin, is_continued=is_continued)
        for name, value in request.call.headers().items():
            connection.putheader(name, value)  # a second line of baggage is what HTTP makes of both
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            requests.pop(connection, None)
            if getattr(connection, "sock", None) is None:
                request.call.drop()  # no connection could be made
            else:
                request.call.fail(type(error).__name__)
            raise

    def getresponse(call: _Call, connection: Any, args: _Args, kwargs: _Kwargs) -> Any:
        request = requests.get(connection)
        if request is None or request.call is None:
            return call(*args, **kwargs)
        try:
            answer = call(*args, **kwargs)
        except BaseException as error:
            request.call.fail(type(error).__name__)
            raise
        finally:
            requests.pop(connection, None)
        request.call.answer(answer.status, answer.headers.get(TRACED_HEADER))
        return answer

    for hook in (putrequest, putheader, endheaders, getresponse):
        clients.patches.wrap(http.client.HTTPConnection, hook.__name__, hook)


def _origin(connection: Any, url: str) -> Origin | None:
    """Where a request goes: to a proxy's target, not to the proxy."""
    tunnel = getattr(connection, "_tunnel_host", None)
    if tunnel:
        return Origin(str(tunnel).lower(), int(connection._tunnel_port or 443))
    if "://" in url.partition("?")[0]:
        return Origin.of(url)
    host = str(connection.host).strip("[]").lower()
    return Origin(host, int(connection.port)) if host else None


def _scheme(connection: Any) -> str:
    return "https" if getattr(connection, "default_port", 80) == 443 else "http"


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
