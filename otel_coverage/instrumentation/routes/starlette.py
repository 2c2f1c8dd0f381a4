"""The routes of Starlette and FastAPI: mounts, applications below them, and included routers with their prefixes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from otel_coverage.instrumentation.routes.route import Route, method_of_class, symbol_of_view
from otel_coverage.tracing.entry_point import WEBSOCKET, EntryPoint
from otel_coverage.tracing.recorder import Recorder

_DEEPEST = 20  # mounts within mounts; and wrappers around a mounted application
_HANDLERS = ("delete", "get", "head", "options", "patch", "post", "put")  # of an HTTPEndpoint
_EVENTS = ("on_receive", "on_connect", "on_disconnect")  # of a WebSocketEndpoint


def is_application(app: object) -> bool:
    """Whether it is an application with routes of Starlette's."""
    return any(
        base.__module__.partition(".")[0] == "starlette" and base.__name__ in ("Starlette", "Router")
        for base in type(app).__mro__
    )


def routes_of(app: Any) -> Iterator[Route]:
    """Each path with each of its methods; a mounted application that is not known as one route."""
    for prefix, route in _leaves(app.routes, "", 0):
        if _is_mount(route):
            yield Route(prefix + route.path + "/{path:path}", "", str(route.name or ""), None)
            continue
        for method in _methods_of(route):
            yield Route(prefix + route.path, method, str(getattr(route, "name", "")), _view(route, method))


def entry_point(app: Any, scope: Mapping[str, Any], recorder: Recorder) -> EntryPoint | None:
    """The entry point of a connection.

    Args:
        app: the application.
        scope: as it came to the application: routing writes into it.
        recorder: names the view.
    """
    method = str(scope.get("method", WEBSOCKET))
    found = _matched(app.routes, "", dict(scope), 0)
    if found is None:
        return EntryPoint(method=method)
    symbol = "" if found.view is None else symbol_of_view(found.view, recorder)
    return EntryPoint("", symbol, method, found.rule)


class _Matched(NamedTuple):
    rule: str
    view: Any


def _matched(routes: Iterable[Any], prefix: str, scope: dict[str, Any], depth: int) -> _Matched | None:
    """The first route that answers; else the first that knows the path and not the method."""
    partial = None
    for route in _effective(routes):
        match, child = route.matches(scope)
        if match.name == "NONE":
            continue
        path = _path_of(route)
        if _inner(route) is not None and match.name == "FULL" and depth < _DEEPEST:
            inside = _matched(_inner(route) or (), prefix + path, {**scope, **child}, depth + 1)
            return inside or _Matched(prefix + path + "/{path:path}", None)
        if _is_mount(route):
            return _Matched(prefix + path + "/{path:path}", None)
        if match.name == "FULL":
            return _Matched(prefix + path, _view(route, str(scope.get("method", WEBSOCKET))))
        partial = partial or _Matched(prefix + path, None)
    return partial


def _leaves(routes: Iterable[Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Routes that answer, each with the prefix of what it is in. Nothing is made that the application has not made."""
    for route in list(routes):
        context = getattr(route, "include_context", None)  # a router that FastAPI keeps as it is, from 0.137 on
        inner = route.original_router.routes if context is not None else _inner(route)
        if inner is not None:
            if depth < _DEEPEST:
                own = str(context.prefix) if context is not None else _path_of(route)
                yield from _leaves(inner, prefix + own, depth + 1)
        elif isinstance(getattr(route, "path", None), str):
            yield prefix, route


def _effective(routes: Iterable[Any]) -> Iterator[Any]:
    """What FastAPI matches requests with."""
    for route in list(routes):
        if hasattr(route, "effective_candidates"):
            yield from _effective(route.effective_candidates())
        else:
            yield getattr(route, "starlette_route", None) or route


def _inner(route: Any) -> list[Any] | None:
    """The routes of a mounted or hosted application; None where the route is none, or the application is not known."""
    if getattr(route, "endpoint", None) is not None:
        return None
    app = route
    for _ in range(_DEEPEST):
        routes = getattr(app, "routes", None)
        if isinstance(routes, list) and (routes or is_application(app)):
            return routes
        app = getattr(app, "app", None)  # middlewares around it, as most call it
        if app is None:
            return None
    return None


def _path_of(route: Any) -> str:
    path = getattr(route, "path", "")  # a host has none
    return path if isinstance(path, str) else ""


def _is_mount(route: Any) -> bool:
    return _named(route, "Mount")


def _methods_of(route: Any) -> list[str]:
    if _named(route, "WebSocketRoute"):
        return [WEBSOCKET]
    methods = set(getattr(route, "methods", None) or ())
    kind = getattr(route, "endpoint", None)
    if not methods and isinstance(kind, type) and _is_endpoint(kind):
        methods = {name.upper() for name in _HANDLERS if method_of_class(kind, name) is not None}
    if "GET" in methods:
        methods.discard("HEAD")
    return sorted(methods) or [""]


def _view(route: Any, method: str) -> Any:
    view = getattr(route, "endpoint", None)
    if not isinstance(view, type):
        return view
    if method == WEBSOCKET:
        own = (method_of_class(view, name) for name in _EVENTS if not _is_starlettes(view, name))
        return next(own, None)
    return method_of_class(view, method) if method else method_of_class(view, "__call__")


def _is_starlettes(kind: type, name: str) -> bool:
    definer = next((base for base in kind.__mro__ if name in vars(base)), None)
    return definer is None or definer.__module__.partition(".")[0] == "starlette"


def _is_endpoint(kind: type) -> bool:
    return any(base.__name__ == "HTTPEndpoint" for base in kind.__mro__)


def _named(route: Any, name: str) -> bool:
    return any(base.__name__ == name for base in type(route).__mro__)
