"""Flask's ``test_client()`` and Werkzeug's, which call an application of this process."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from otel_coverage.pytest_plugin.clients import Clients
from otel_coverage.pytest_plugin.plays import BAGGAGE, TRACED_HEADER, merged, names_itself


def install(clients: Clients, werkzeug_test: ModuleType) -> None:
    """Hook into what calls the application: redirects come there one by one."""

    def run(call: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        is_traced = clients.in_process(client.application)
        play = clients.stage.current
        environ = kwargs.get("environ", args[0] if args else None)
        if not is_traced or play is None or not isinstance(environ, dict) or names_itself(_headers(environ)):
            return call(*args, **kwargs)
        method, path = str(environ.get("REQUEST_METHOD", "")), str(environ.get("PATH_INFO", ""))
        request = play.call(method, path, None, is_expected=True)
        added = {f"HTTP_{name.upper()}": text for name, text in merged(request.headers(), _headers(environ)).items()}
        before = {name: environ[name] for name in added if name in environ}
        environ.update(added)
        try:
            answer = call(*args, **kwargs)
        except BaseException as error:
            request.fail(type(error).__name__)
            raise
        finally:
            for name in added:
                environ.pop(name, None)
            environ.update(before)
        _, status, headers = answer
        request.answer(int(status[:3]) if status[:3].isdigit() else 0, headers.get(TRACED_HEADER))
        return answer

    clients.patches.wrap(werkzeug_test.Client, "run_wsgi_app", run)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    names = {"HTTP_BAGGAGE": BAGGAGE, "HTTP_X_PROFILE_TRACE": "x-profile-trace"}
    return {header: str(environ[name]) for name, header in names.items() if name in environ}
