"""WSGI servers: the application that they serve is recorded with every middleware around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.routes import register

if TYPE_CHECKING:
    from otel_coverage.instrumentation.wsgi import Hook

SERVERS = {
    "gevent.pywsgi": ("WSGIServer", "application"),
    "granian.wsgi": (None, "_callback_wrapper"),
    "gunicorn.workers.base": ("Worker", "wsgi"),
    "twisted.web.wsgi": ("WSGIResource", "_application"),
    "waitress.server": ("BaseWSGIServer", "application"),
    "werkzeug.serving": ("BaseWSGIServer", "app"),
    "wsgiref.simple_server": ("WSGIServer", "application"),
}
"""The class, and its attribute that holds the application, by module; or the function that is given it.

Others are not hooked: uWSGI is not Python.
"""


def record_server(patches: Patches, hook: Hook, module: ModuleType) -> None:
    """Record what the servers of ``module``, a key of :data:`SERVERS`, serve from now on."""
    name, attribute = SERVERS[module.__name__]

    def recorded(application: Any) -> Any:
        register.serve_within(application)
        return application if _is_asgi(application) else hook.around(application)

    if name is None:
        wrap_given(patches, module, attribute, recorded)
    else:
        wrap_served(patches, getattr(module, name), attribute, recorded)


def wrap_given(patches: Patches, module: ModuleType, function: str, wrap: Callable[[Any], Any]) -> None:
    """Have ``wrap`` called with the first argument of a function of ``module``, and what it returns passed on."""

    def given(original: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return original(*map(wrap, args[:1]), *args[1:], **kwargs)

    patches.wrap(module, function, given)


def wrap_served(patches: Patches, server: type, attribute: str, wrap: Callable[[Any], Any]) -> None:
    """Have ``wrap`` called with each application that a server of that class is given, and what it returns served.

    Args:
        patches: undo it.
        server: the class.
        attribute: holds the application.
        wrap: see above.
    """
    had = {attribute: vars(server)[attribute]} if attribute in vars(server) else {}
    setattr(server, attribute, _Served(attribute, wrap))
    patches.on_undo(partial(_put_back, server, attribute, had))


class _Served:
    """The attribute that holds the application.

    Not a wrapper of the method that assigns it: a worker of gunicorn's imports the application in that method, and with
    it the first package for which ``otel-coverage run`` instruments the process.
    """

    def __init__(self, attribute: str, wrap: Callable[[Any], Any]) -> None:
        self._attribute = attribute
        self._wrap = wrap

    def __get__(self, server: object, owner: type) -> Any:
        return None if server is None else vars(server).get(self._attribute)

    def __set__(self, server: object, application: Any) -> None:
        vars(server)[self._attribute] = self._wrap(application) if callable(application) else application


def _is_asgi(application: object) -> bool:
    """Whether a worker of gunicorn's serves it by another protocol; wrapped, it might not be recognized."""
    return any(map(inspect.iscoroutinefunction, (application, getattr(application, "__call__", None))))  # noqa: B004


def _put_back(server: type, attribute: str, had: dict[str, object]) -> None:
    delattr(server, attribute)
    for name, value in had.items():
        setattr(server, name, value)
