"""Servers of frameworks that nothing here follows: who starts one is warned, instead of finding nothing recorded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.tracing.log import log

SERVERS = {
    "aiohttp.web_runner": ("BaseRunner", "setup", "aiohttp.web"),
    "granian.rsgi": (None, "_callback_wrapper", "an RSGI application of granian"),
    "sanic.app": ("Sanic", "prepare", "Sanic's own server"),
    "tornado.httpserver": ("HTTPServer", "initialize", "Tornado"),
    "twisted.web.server": ("Site", "__init__", "Twisted"),
}
"""A class, what is called of it, or of the module, as the server starts, and the framework's name, by module."""

_APPLICATIONS = {"aiohttp.web_app": "aiohttp.web", "sanic.app": "Sanic", "tornado.web": "Tornado"}

REMEDY = "no request to it is recorded; otel-coverage follows WSGI and ASGI applications, and RQ"


def tell_when_started(patches: Patches, module: ModuleType) -> None:
    """Log it when a server of ``module``, a key of :data:`SERVERS`, starts in this process."""
    name, method, framework = SERVERS[module.__name__]
    server = module if name is None else getattr(module, name, None)
    if isinstance(server, (type, ModuleType)) and hasattr(server, method):
        patches.wrap(server, method, partial(_tell, framework))


def unfollowed_framework(app: object) -> str | None:
    """The framework of an application that nothing here follows, by name; None of all others."""
    return next(
        (_APPLICATIONS[kind.__module__] for kind in type(app).__mro__ if kind.__module__ in _APPLICATIONS), None
    )


def _tell(framework: str, start: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    serves_wsgi = any(type(argument).__name__ == "WSGIResource" for argument in args)  # Twisted's, which is followed
    if not serves_wsgi and not log.counts[f"unfollowed {framework}"]:
        log.warn(f"unfollowed {framework}", "coverage: %s serves in this process: %s", framework, REMEDY)
    return start(*args, **kwargs)
