"""The URL maps of Flask and Quart, blueprints included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otel_coverage.instrumentation.routes.route import Route, method_of_class, symbol_of_view
from otel_coverage.tracing.entry_point import WEBSOCKET, EntryPoint
from otel_coverage.tracing.recorder import Recorder


def is_application(app: object) -> bool:
    """Whether it is an application whose URL map is werkzeug's."""
    own = getattr(app, "__dict__", None)
    return type(own) is dict and "url_map" in own and "view_functions" in own


def routes_of(app: Any) -> Iterator[Route]:
    """Each rule with each of its methods, but for those that werkzeug and Flask answer themselves."""
    for rule in list(app.url_map.iter_rules()):
        if getattr(rule, "build_only", False):
            continue
        for method in _methods_of(rule):
            yield Route(rule.rule, method, str(rule.endpoint), _view(app, rule.endpoint, method))


def entry_point(app: Any, rule: Any, method: str, recorder: Recorder) -> EntryPoint | None:
    """The entry point of a request that has matched ``rule``; None where it has matched none."""
    if rule is None:
        return EntryPoint(method=method)
    if _is_websocket(rule):
        method = WEBSOCKET
    return EntryPoint("", symbol_of_view(_view(app, rule.endpoint, method), recorder), method, rule.rule)


def matched(app: Any, environ: dict[str, Any]) -> Any:
    """The rule that a request matches; None where it matches none."""
    try:
        adapter = app.create_url_adapter(app.request_class(environ, populate_request=False))
        rule, _ = adapter.match(return_rule=True)
    except Exception:  # werkzeug raises what answers such a request
        return None
    return rule


def _methods_of(rule: Any) -> list[str]:
    if _is_websocket(rule):
        return [WEBSOCKET]
    methods = set(rule.methods or ("",))
    if "GET" in methods:
        methods.discard("HEAD")
    if getattr(rule, "provide_automatic_options", False):
        methods.discard("OPTIONS")
    return sorted(methods)


def _is_websocket(rule: Any) -> bool:
    return bool(getattr(rule, "websocket", False))


def _view(app: Any, endpoint: Any, method: str) -> Any:
    view = app.view_functions.get(endpoint)
    try:
        kind = view.view_class  # which functools.wraps carries over
    except Exception:  # a class of the application's may do anything
        return view
    if not isinstance(kind, type):
        return view
    return method_of_class(kind, method) or getattr(kind, "dispatch_request", None)
