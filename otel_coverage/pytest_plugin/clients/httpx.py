"""httpx, synchronous and not, with a server or an application in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

from opentelemetry.instrumentation.utils import suppress_http_instrumentation

from otel_coverage.pytest_plugin.clients import Clients
from otel_coverage.pytest_plugin.plays import TRACED_HEADER, Call, merged, names_itself
from otel_coverage.pytest_plugin.targets import Origin


def install(clients: Clients, httpx: ModuleType) -> None:
    """Hook into what sends one request: redirects come there one by one."""

    def prepare(client: Any, request: Any) -> tuple[Call | None, dict[str, str | None]]:
        application = _application(client, request)
        is_inside = application is not None and clients.in_process(application)
        origin = Origin.of(str(request.url))
        play = clients.stage.current if is_inside else clients.play_for(origin)
        if play is None or names_itself(request.headers):
            return None, {}
        url = str(request.url.copy_with(query=None, username=None, password=None, fragment=None))
        call = play.call(request.method, url, None if is_inside else origin, is_expected=is_inside)
        before: dict[str, str | None] = {}
        for name, value in merged(call.headers(), request.headers).items():
            before[name] = request.headers.get(name)
            request.headers[name] = value
        return call, before

    @contextmanager
    def sending(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[list[Any]]:
        request: Any = kwargs.get("request", args[0] if args else None)
        call, before = prepare(client, request)
        answers: list[Any] = []
        try:
            # OpenTelemetry's instrumentation would put a span of its own in the place of the request's
            with suppress_http_instrumentation() if call is not None and call.origin is not None else nullcontext():
                yield answers
        except BaseException as error:
            if call is not None:
                never = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
                call.drop() if isinstance(error, never) else call.fail(type(error).__name__)
            raise
        finally:
            for name, value in before.items():  # what a redirect leads to copies them
                if value is None:
                    request.headers.pop(name, None)
                else:
                    request.headers[name] = value
        if call is not None:
            for answer in answers:
                call.answer(answer.status_code, answer.headers.get(TRACED_HEADER))

    def send(call: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with sending(client, args, kwargs) as answers:
            answers.append(call(*args, **kwargs))
        return answers[0]

    async def send_later(call: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with sending(client, args, kwargs) as answers:
            answers.append(await call(*args, **kwargs))
        return answers[0]

    clients.patches.wrap(httpx.Client, "_send_single_request", send)
    clients.patches.wrap(httpx.AsyncClient, "_send_single_request", send_later)


def _application(client: Any, request: Any) -> object | None:
    """The application of this process that is called without a server; None where there is one."""
    transport = client._transport_for_url(request.url)
    kind = type(transport)
    names = {f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in kind.__mro__}
    if names & {"httpx.WSGITransport", "httpx.ASGITransport", "starlette._TestClientTransport"}:
        found: object = getattr(transport, "app", None)
        return getattr(found, "app", found) if type(found).__name__ == "_WrapASGI2" else found
    return None
