"""aiohttp's client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from otel_coverage.pytest_plugin.clients import Clients
from otel_coverage.pytest_plugin.plays import TRACED_HEADER, TRACEPARENT, Call, merged, names_itself
from otel_coverage.pytest_plugin.targets import Origin


def install(clients: Clients, aiohttp: ModuleType) -> None:
    """Hook into what writes a request, once there is a connection, and what reads the answer's headers."""
    calls: WeakKeyDictionary[Any, Call] = WeakKeyDictionary()  # by answer

    async def send(
        call: Callable[..., Awaitable[Any]], request: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        origin = Origin.of(str(request.url))
        play = clients.play_for(origin)
        given = {name.lower(): value for name, value in request.headers.items()}
        if play is None or names_itself(given):
            return await call(*args, **kwargs)
        url = str(request.url.with_query(None).with_user(None).with_fragment(None))
        sent = play.call(request.method, url, origin, is_continued=TRACEPARENT in given)
        request.headers.update(merged(sent.headers(), given))  # a redirect is a request of its own
        try:
            answer = await call(*args, **kwargs)
        except BaseException as error:
            sent.fail(type(error).__name__)
            raise
        calls[answer] = sent
        return answer

    async def start(
        call: Callable[..., Awaitable[Any]], answer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        sent = calls.pop(answer, None)
        try:
            result = await call(*args, **kwargs)
        except BaseException as error:
            if sent is not None:
                sent.fail(type(error).__name__)
            raise
        if sent is not None:
            sent.answer(answer.status, answer.headers.get(TRACED_HEADER))
        return result

    clients.patches.wrap(aiohttp.ClientRequest, "send", send)
    clients.patches.wrap(aiohttp.ClientResponse, "start", start)
