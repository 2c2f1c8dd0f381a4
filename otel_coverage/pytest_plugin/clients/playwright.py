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

_NOT_SENT = ("ConnectionRefused", "ConnectionFailed", "NameNotResolved", "AddressUnreachable", "BlockedByClient")
_STARTERS = ("launch", "connect", "connect_over_cdp")


def install(clients: Clients, playwright: ModuleType) -> None:
    """Hook into what starts browsers, in the synchronous or the asynchronous interface."""
    is_async = playwright.__name__.endswith("async_api")

    def start(call: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        browser = call(*args, **kwargs)
        if is_async:
            return _intercept_later(clients, browser)
        if _can(clients, browser):
            session = browser.new_browser_cdp_session()
            interceptor = _Interceptor(clients)

            def answer(event: dict[str, Any]) -> None:
                with suppress(Exception):  # the page is closed
                    session.send(*interceptor.reply(event))

            session.on("Fetch.requestPaused", answer)
            session.send("Fetch.enable", {"patterns": list(_patterns(clients))})
        return browser

    for name in _STARTERS:
        clients.patches.wrap(playwright.BrowserType, name, start)


async def _intercept_later(clients: Clients, starting: Awaitable[Any]) -> Any:
    browser = await starting
    if _can(clients, browser):
        session = await browser.new_browser_cdp_session()
        interceptor = _Interceptor(clients)

        async def answer(event: dict[str, Any]) -> None:
            with suppress(Exception):  # the page is closed
                await session.send(*interceptor.reply(event))

        session.on("Fetch.requestPaused", answer)
        await session.send("Fetch.enable", {"patterns": list(_patterns(clients))})
    return browser


def _can(clients: Clients, browser: Any) -> bool:
    name = browser.browser_type.name
    if name != "chromium":
        clients.notes.add(
            f"requests of {name} do not name their profile: only Chromium lets each of them be told from those to "
            "other hosts; the fixture playback_profile has the headers"
        )
    return bool(name == "chromium")


def _patterns(clients: Clients) -> Iterator[dict[str, str]]:
    """What is intercepted; what is not the application's after all is let through as it is."""
    hosts = [f"{host}:{port}" if port is not None else host for host, port in sorted(clients.targets.named, key=str)]
    for host in hosts or ("127.", "localhost", "*.localhost", "[::1]"):
        for stage in ("Request", "Response"):
            yield {"urlPattern": f"*://{host}*", "requestStage": stage}


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
                reply.update(self._asked(event))
        return ("Fetch.continueResponse" if is_answered else "Fetch.continueRequest"), reply

    def _asked(self, event: dict[str, Any]) -> dict[str, Any]:
        request = event["request"]
        origin = Origin.of(request["url"])
        play = self._clients.play_for(origin)
        given = {name.lower(): value for name, value in request["headers"].items()}
        if play is None or names_itself(given):
            return {}
        url = request["url"].partition("?")[0].partition("#")[0]
        call = self._calls[event["requestId"]] = play.call(request["method"], url, origin, may_vanish=True)
        return {"headers": [{"name": k, "value": v} for k, v in {**given, **merged(call.headers(), given)}.items()]}

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
