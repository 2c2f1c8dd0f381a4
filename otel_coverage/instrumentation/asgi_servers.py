"""ASGI servers: the application that they serve is recorded with every middleware around it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.servers import wrap_given, wrap_served

if TYPE_CHECKING:
    from otel_coverage.instrumentation.asgi import AsgiHook


def _uvicorn(patches: Patches, hook: AsgiHook, module: ModuleType) -> None:
    """``Config.load``: once it has asked the application what protocol it speaks, which a wrapped one might not show.

    Gunicorn's worker of uvicorn's calls it, too, and so do the processes that ``--workers`` and ``--reload`` start.
    """

    def load(load: Callable[..., Any], config: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        loaded = load(*args, **kwargs)
        config.loaded_app = hook.around(config.loaded_app)
        return loaded

    patches.wrap(module.Config, "load", load)


def _hypercorn(patches: Patches, hook: AsgiHook, module: ModuleType) -> None:
    """``ASGIWrapper`` and ``WSGIWrapper``, one of which hypercorn puts around what it serves."""

    def call(application: Callable[..., Any], wrapper: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) != 5 or kwargs:
            return application(*args, **kwargs)
        scope, receive, send, *spawners = args
        return hook.serve(lambda *connection: application(*connection, *spawners), scope, receive, send)

    for name in ("ASGIWrapper", "WSGIWrapper"):
        patches.wrap(getattr(module, name), "__call__", call)


def _gunicorn(patches: Patches, hook: AsgiHook, module: ModuleType) -> None:
    """Its own ``asgi`` worker, of gunicorn 25 and later."""
    wrap_served(patches, module.ASGIWorker, "asgi", hook.around)


def _daphne(patches: Patches, hook: AsgiHook, module: ModuleType) -> None:
    wrap_served(patches, module.Server, "application", hook.around)


def _granian(patches: Patches, hook: AsgiHook, module: ModuleType) -> None:
    """What puts its own function around the application, before a worker hands that over to code in Rust."""
    wrap_given(patches, module, "_callback_wrapper", hook.around)


SERVERS: dict[str, Callable[[Patches, AsgiHook, ModuleType], None]] = {
    "daphne.server": _daphne,
    "granian.asgi": _granian,
    "gunicorn.workers.gasgi": _gunicorn,
    "hypercorn.app_wrappers": _hypercorn,
    "uvicorn.config": _uvicorn,
}
"""What has an ASGI server's application recorded, by the module that the server calls it in."""
