"""Playwright: what Chromium asks the application for, page by page, redirects and popups included.

Extra headers of a context would go to every host that a page refers to, and to those that the application redirects to.
So each request to the application is intercepted by the protocol of Chromium's developer tools, hop by hop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

from otel_coverage.pytest_plugin.clients import Clients
from otel_coverage.pytest_plugin.plays import TRACED_HEADER, Call, merged, names_itself
from otel_coverage.pytest_plugin.targets import Origin

_STARTERS = ("launch", "connect", "connect_over_cdp")
_NOT_SENT = ("ConnectionRefused", "ConnectionFailed", "NameNotResolved", "AddressUnreachable", "BlockedByClient")
_LOOPBACK = ("127.", "localhost", "*.localhost", "[::1]")


def install(clients: Clients, playwright: ModuleType) -> None:
    """Hook into what starts browsers, in the synchronous or the asynchronous interface."""
    is_async = playwright.__name__.endswith("async_api")

    def start(call: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        browser = call(*args, **kwargs)
        return _intercepted_later(clients, browser) if is_async else _intercepted(clients, browser)

    for name in _STARTERS:
        clients.patches.wrap(playwright.BrowserType, name, start)


def _intercepted(clients: Clients, browser: Any) -> Any:
    try:
        if _can_intercept(clients, browser):
            session, interceptor = browser.new_browser_cdp_session(), _Interceptor(clients)

            def answer(event: dict[str, Any]) -> None:
                with suppress(Exception):  # the page is closed
                    session.send(*interceptor.reply(event))

            session.on("Fetch.requestPaused", answer)
            session.send("Fetch.enable", _patterns(clients))
    except Exception as error:
        _note_failure(clients, error)
    return browser


async def _intercepted_later(clients: Clients, starting: Awaitable[Any]) -> Any:
    browser = await starting
    try:
        if _can_intercept(clients, browser):
            session, interceptor = await browser.new_browser_cdp_session(), _Interceptor(clients)

            async def answer(event: dict[str, Any]) -> None:
                with suppress(Exception):  # the page is closed
                    await session.send(*interceptor.reply(event))

            session.on("Fetch.requestPaused", answer)
            await session.send("Fetch.enable", _patterns(clients))
    except Exception as error:
        _note_failure(clients, error)
    return browser


def _can_intercept(clients: Clients, browser: Any) -> bool:
    name = browser.browser_type.name
    if name != "chromium":
        clients.notes.add(
            f"requests of {name} do not name their test: only in Chromium can those to the application be told from "
            "others; the fixture playback_profile has the headers"
        )
    return bool(name == "chromium")


def _note_failure(clients: Clients, error: Exception) -> None:
    said = str(error).partition("\n")[0]
    clients.notes.add(f"requests of a browser do not name their test, as they cannot be intercepted: {said}")


def _patterns(clients: Clients) -> dict[str, Any]:
    """What is intercepted; what is not the application's after all is let through as it is."""
    hosts = sorted(map(_host, clients.targets.named)) or _LOOPBACK
    stages = ("Request", "Response")
    return {"patterns": [{"urlPattern": f"*://{host}*", "requestStage": stage} for host in hosts for stage in stages]}


def _host(target: tuple[str, int | None]) -> str:
    """A host as URLs have it, which lack the usual ports."""
    host, port = target
    host = f"[{host}]" if ":" in host else host
    return host if port in (None, 80, 443) else f"{host}:{port}"


class _Interceptor:
    """Answers what a browser asks before each request, and before each response."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._calls: dict[str, Call] = {}

    def reply(self, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The method and the parameters that let it go on."""
        reply: dict[str, Any] = {"requestId": event["requestId"]}
        is_answered = "responseStatusCode" in event or "responseErrorReason" in event
        with suppress(Exception):  # a browser that waits for us would be a suite that hangs
            if is_answered:
                self._answered(event)
            else:
                reply["headers"] = list(self._headers(event))
        if not reply.get("headers"):
            reply.pop("headers", None)
        return ("Fetch.continueResponse" if is_answered else "Fetch.continueRequest"), reply

    def _headers(self, event: dict[str, Any]) -> Iterator[dict[str, str]]:
        """Those to send it with; none where it is sent as it is."""
        request = event["request"]
        origin = Origin.of(request["url"])
        play = self._clients.play_for(origin)
        given = {name.lower(): value for name, value in request["headers"].items()}
        if play is None or names_itself(given):
            return
        url = request["url"].partition("?")[0].partition("#")[0]
        call = self._calls[event["requestId"]] = play.call(request["method"], url, origin, may_vanish=True)
        for name, value in {**given, **merged(call.headers(), given)}.items():
            yield {"name": name, "value": value}

    def _answered(self, event: dict[str, Any]) -> None:
        call = self._calls.pop(event["requestId"], None)
        if call is None:
            return
        if "responseStatusCode" not in event:
            failed = event["responseErrorReason"]
            call.drop() if failed in _NOT_SENT else call.fail(failed)
            return
        headers = {each["name"].lower(): each["value"] for each in event.get("responseHeaders", ())}
        call.answer(event["responseStatusCode"], headers.get(TRACED_HEADER.lower()))
