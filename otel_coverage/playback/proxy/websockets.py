"""Passes the messages of a WebSocket, both ways."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import WSMsgType, web
from multidict import CIMultiDict

from otel_coverage.playback.proxy.session import Passing, Session

_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
_NORMAL, _GOING_AWAY = 1000, 1001  # RFC 6455, 7.4.1
_NEVER_SENT = (None, 0, 1005, 1006, 1015)


async def handle(
    request: web.BaseRequest, client: aiohttp.ClientSession, session: Session, passing: Passing
) -> web.StreamResponse:
    """Connect to the application as the browser wants to connect; pass messages on until one of both closes.

    Raises:
        aiohttp.ClientError: the application cannot be reached, or its answer is malformed.
    """
    wanted = request.headers.get("Sec-WebSocket-Protocol", "")
    protocols = [each.strip() for each in wanted.split(",") if each.strip()]
    try:
        target = await client.ws_connect(
            passing.url,
            protocols=protocols,
            headers=CIMultiDict(passing.headers),
            autoping=False,
            autoclose=False,
            max_msg_size=0,
        )
    except aiohttp.WSServerHandshakeError as error:
        session.answered(passing, error.status, ())
        return web.Response(status=error.status if error.status >= 400 else 502, text=f"{error.message}\n")
    try:
        session.answered(passing, 101, ())
        browser = web.WebSocketResponse(
            protocols=[target.protocol] if target.protocol else (), autoping=False, autoclose=False, max_msg_size=0
        )
        await browser.prepare(request)
        ways = [asyncio.ensure_future(_pass(browser, target)), asyncio.ensure_future(_pass(target, browser))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await browser.close(code=_GOING_AWAY)
    finally:
        await target.close()
    return browser


async def _pass(source: _Socket, sink: _Socket) -> None:
    """Until the source has closed; then the sink is closed with the same code and reason."""
    while True:
        message = await source.receive()
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type is WSMsgType.PING:
            await sink.ping(message.data)
        elif message.type is WSMsgType.PONG:
            await sink.pong(message.data)
        elif message.type is WSMsgType.CLOSE:
            code = message.data if message.data not in _NEVER_SENT else _NORMAL
            await sink.close(code=code, message=(message.extra or "").encode())
            await source.close(code=code)
            return
        else:
            if message.type is not WSMsgType.CLOSING:  # by the other way, which closes both
                await sink.close(code=_GOING_AWAY)
            return
