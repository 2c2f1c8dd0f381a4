"""A route of an application, and the symbol of the function that answers it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from otel_coverage.tracing.recorder import Recorder

_LONGEST = 100  # wrappers around a view: one that has itself within is not followed for ever


class Route(NamedTuple):
    """One rule and method of a URL map.

    Attributes:
        rule: the template, with the prefixes of blueprints, mounts and routers.
        method: in capitals; ``WEBSOCKET``, or empty where any is answered.
        endpoint: the framework's name of the view.
        view: what answers; None where that is not known.
    """

    rule: str
    method: str
    endpoint: str
    view: Any


def symbol_of_view(view: Any, recorder: Recorder) -> str:
    """The symbol of a view or job function, within whatever is wrapped around it.

    Of several functions of the application, the innermost: what ``functools.wraps`` names is not the view. Empty where
    none is the application's.
    """
    found = ""
    for function in _functions(view):
        code = function.__code__
        found = recorder.symbol(code, getattr(code, "co_qualname", function.__qualname__)) or found  # from 3.11 on
    return found


def method_of_class(kind: type, method: str) -> Any:
    """The method of a class-based view that answers an HTTP method; None where it has none of that name."""
    name = method.lower()
    for each in (name, "get") if name == "head" else (name,):
        found = _static(kind, each)
        if found is not None:
            return found
    return None


def _functions(view: Any) -> Iterator[FunctionType]:
    """The functions that a call of ``view`` goes through, the outermost first, without calling anything of it."""
    for _ in range(_LONGEST):
        if isinstance(view, functools.partial):
            view = view.func
        elif isinstance(view, staticmethod | classmethod | MethodType):
            view = view.__func__
        elif isinstance(view, FunctionType):
            yield view
            view = vars(view).get("__wrapped__")
        elif view is None:
            return
        else:
            wrapped = _wrapped_by(view)
            view = _static(type(view), "__call__") if wrapped is None and not isinstance(view, type) else wrapped


def _wrapped_by(view: Any) -> Any:
    try:
        return view.__wrapped__  # wrapt's, functools.lru_cache's
    except Exception:  # a class of the application's may do anything
        return None


def _static(kind: type, name: str) -> Any:
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
