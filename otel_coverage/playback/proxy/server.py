"""Serves the proxy on this machine until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import ssl
from collections.abc import Callable

from aiohttp import web

from otel_coverage.errors import ConfigurationError, UnreachableError
from otel_coverage.playback.proxy.proxy import HEADER_BYTES, Proxy
from otel_coverage.playback.proxy.session import Session
from otel_coverage.playback.proxy.target import Target

HOST = "127.0.0.1"
STOPS = ("SIGINT", "SIGTERM", "SIGHUP")
"""The signals that end a recording, where the system has them."""

_CONNECT_SECONDS = 10.0
_LAST_ANSWERS = 30.0  # seconds that answers in progress have when it is stopped
_LOOK_SECONDS = 0.05


def serve(
    session: Session, port: int, max_body: int, ready: Callable[[str], None], stopping: Callable[[str], None]
) -> None:
    """Record until one of SIGINT, SIGTERM and SIGHUP arrives. A second one does not wait for answers in progress.

    Args:
        session: gets what passes.
        port: of 127.0.0.1; 0 for any that is free.
        max_body: bytes of a request's body that are recorded.
        ready: called with the proxy's URL, in a thread; what it raises ends the recording.
        stopping: called with the name of the signal.

    Raises:
        ConfigurationError: the port is taken.
        UnreachableError: the application cannot be reached.
    """
    asyncio.run(_serve(session, port, max_body, ready, stopping))


async def _serve(
    session: Session, port: int, max_body: int, ready: Callable[[str], None], stopping: Callable[[str], None]
) -> None:
    stops = _signals()
    await _check(session.target)
    async with Proxy(session, max_body) as proxy:
        server = web.Server(
            proxy.handle,
            access_log=None,
            logger=_silent(),
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            auto_decompress=False,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, port)
            try:
                await site.start()
            except OSError as error:
                raise ConfigurationError(
                    f"--port {port}: {error.strerror or error}; choose another one, or 0 for any that is free"
                ) from error
            name = await _until_stopped(stops, session, f"http://{HOST}:{runner.addresses[0][1]}", ready)
            stopping(name)
            await site.stop()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_until_answered(session, stops), _LAST_ANSWERS)
        finally:
            await runner.cleanup()


def _silent() -> logging.Logger:
    """For what is wrong with requests that are not HTTP; what a person has to know is said by the session."""
    logger = logging.Logger("proxy")
    logger.addHandler(logging.NullHandler())
    return logger


def _signals() -> asyncio.Queue[str]:
    """The signals that arrive from now on."""
    loop, found = asyncio.get_running_loop(), asyncio.Queue[str]()
    for name in STOPS:
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, found.put_nowait, name)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_, name=name: loop.call_soon_threadsafe(found.put_nowait, name))
    return found


async def _until_stopped(stops: asyncio.Queue[str], session: Session, url: str, ready: Callable[[str], None]) -> str:
    """The name of the signal that stopped it; raises what ``ready`` raises."""
    preparing = asyncio.ensure_future(asyncio.to_thread(ready, url))  # it may send requests itself
    stopping = asyncio.ensure_future(stops.get())
    await asyncio.wait((preparing, stopping), return_when=asyncio.FIRST_COMPLETED)
    if stopping.done():
        session.stopped.set()
    await preparing
    return await stopping


async def _until_answered(session: Session, stops: asyncio.Queue[str]) -> None:
    while session.open_answers() and stops.empty():
        await asyncio.sleep(_LOOK_SECONDS)


async def _check(target: Target) -> None:
    """Connect to the application.

    Raises:
        UnreachableError: nobody answers there, or nobody whose certificate is valid.
    """
    host, port = target.address
    context = ssl.create_default_context() if target.scheme == "https" else None
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port, ssl=context), _CONNECT_SECONDS)
    except ssl.SSLCertVerificationError as error:
        raise UnreachableError(
            f"{target.origin}: its certificate is not valid: {error.verify_message}; SSL_CERT_FILE names the "
            "certificates that are trusted"
        ) from error
    except asyncio.TimeoutError as error:
        raise UnreachableError(f"{target.origin}: no connection within {_CONNECT_SECONDS:g} s") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreachableError(
            f"{target.origin}: {reason}; start the application first, or correct --target"
        ) from error
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
