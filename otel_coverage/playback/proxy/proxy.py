"""Passes requests to the application and answers to the browser, piece by piece, both ways at once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from otel_coverage.playback.client import is_loopback
from otel_coverage.playback.proxy import headers, websockets
from otel_coverage.playback.proxy.bodies import RequestBody
from otel_coverage.playback.proxy.session import Passing, Session

if TYPE_CHECKING:
    from typing_extensions import Self

HEADER_BYTES = 64 * 1024  # of a header, or of the first line
_CONNECT_SECONDS = 30.0
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Proxy:
    """A reverse proxy in front of one application.

    Use it as an asynchronous context manager, and :meth:`handle` as the handler of all requests.
    """

    def __init__(self, session: Session, max_body: int) -> None:
        """
        Args:
            session: notes what passes.
            max_body: bytes of a request's body that are recorded.
        """
        self._session = session
        self._max_body = max_body
        self._client: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._client = aiohttp.ClientSession(
            # the application may close a connection that is kept at the moment in which a request is sent on it
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            skip_auto_headers=_NOT_ADDED,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass a request on, and its answer back."""
        if not is_loopback(URL(f"http://{request.host}").host or ""):
            # a page of another host, whose name leads here
            return web.Response(status=403, text="This proxy answers to names of this machine alone.\n")
        entrance = self._session.entrance
        if entrance is not None and request.path == entrance.path:
            location = f"http://{request.host}{entrance.page}"
            answer = web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
            for cookie in entrance.cookies:
                answer.headers.add("Set-Cookie", cookie)
            return answer
        own = f"http://{request.host}"
        url = self._session.target.origin + request.raw_path
        to_target = [
            (name, _sendable(value))
            for name, value in headers.for_target(request.headers.items(), self._session.target, own)
        ]
        passing = self._session.begin(request.method, url, to_target)
        try:
            if _is_websocket(request):
                return await websockets.handle(request, self._client, self._session, passing)
            return await self._pass(request, passing, own)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            if passing.status or request.transport is None:  # one of both has gone
                _break(request)
                return web.Response(status=502)
            reason = f"the application did not answer: {_explained(error)}"
            self._session.failed(passing, reason)
            return web.Response(status=502, text=f"{self._session.target.origin}: {reason}\n")
        finally:
            self._session.ended(passing)

    async def _pass(self, request: web.BaseRequest, passing: Passing, own: str) -> web.StreamResponse:
        content = None
        if request.body_exists:
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.writer.output_size = 0
            passing.body = RequestBody(self._max_body)
            content = _recorded(request, passing.body)
        async with self._client.request(
            passing.method,
            URL(passing.url, encoded=True),
            headers=CIMultiDict(passing.headers),
            data=content,
            allow_redirects=False,
        ) as answer:
            received = [(name, _sendable(value)) for name, value in answer.headers.items()]
            self._session.answered(passing, answer.status, received)
            sent = _Answer(
                status=answer.status,
                reason=answer.reason,
                headers=CIMultiDict(headers.for_browser(received, self._session.target, own, passing.url)),
            )
            await sent.prepare(request)
            async for chunk in answer.content.iter_any():
                if passing.text is not None:
                    passing.text.write(chunk)
                await sent.write(chunk)
            await sent.write_eof()
        if passing.body is not None and not request.content.is_eof():
            passing.body.lose("its body was not recorded: the application answered before it had read all of it")
        return sent


class _Answer(web.StreamResponse):
    """An answer with the headers that the application gave it, and no other ones."""

    async def _prepare_headers(self) -> None:
        has_type = "Content-Type" in self.headers
        await super()._prepare_headers()
        if not has_type:  # browsers find out what it is, unless something is named
            self.headers.popall("Content-Type", None)


async def _recorded(request: web.BaseRequest, body: RequestBody) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        body.write(chunk)
        yield chunk


def _is_websocket(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _break(request: web.BaseRequest) -> None:
    """Close the connection, so that the browser sees that the answer is not whole."""
    if request.transport is not None:
        request.transport.abort()


def _sendable(value: str) -> str:
    """A header that is not UTF-8, as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _explained(error: BaseException) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return f"no connection within {_CONNECT_SECONDS:g} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not valid: {_of_ssl(error.certificate_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    return str(error) or type(error).__name__


def _of_ssl(error: BaseException) -> str:
    return getattr(error, "verify_message", "") if isinstance(error, ssl.SSLError) else str(error)
