"""Whether OpenTelemetry's instrumentations make the SERVER spans of an ASGI application's requests."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType, MethodType

_MIDDLEWARE = "OpenTelemetryMiddleware"
_MOST = 200  # objects that are looked at: an application may hold anything
_LONGEST = 32  # elements of a list among them


def makes_server_spans(application: object) -> bool:
    """Whether an instrumentation is found in ``application``, or in what it is wrapped around or hands requests on to.

    Where one that is there is not found, its span is a child of ours, of kind INTERNAL.
    """
    if not any(f"opentelemetry.instrumentation.{name}" in sys.modules for name in ("asgi", "flask", "wsgi")):
        return False
    return any(True for _ in wrapped_by(application, _is_maker))


def wrapped_by(application: object, is_wanted: Callable[[object], bool]) -> Iterator[object]:
    """What is wanted of ``application`` and of what it is wrapped around; not what stands within that."""
    seen, waiting = {id(application)}, [application]
    for one in waiting:
        if is_wanted(one):
            yield one
            continue
        for inner in _held_by(one):
            if id(inner) not in seen and len(waiting) < _MOST:
                seen.add(id(inner))
                waiting.append(inner)


def _is_maker(one: object) -> bool:
    kind = one if isinstance(one, type) else type(one)
    if kind.__name__ == _MIDDLEWARE and kind.__module__.startswith("opentelemetry."):
        return True
    return _attributes(one).get("_is_instrumented_by_opentelemetry") is True


def _held_by(one: object) -> Iterator[object]:
    """What it is wrapped around, or hands requests on to: applications, or objects that may hold some."""
    if isinstance(one, functools.partial):
        yield one.func
    if type(one) is MethodType:
        yield one.__self__
    if type(one) is FunctionType:
        for cell in one.__closure__ or ():
            try:
                yield from _applications(cell.cell_contents)
            except ValueError:  # empty
                continue
    for value in _attributes(one).values():
        yield from _applications(value)


def _applications(value: object) -> Iterator[object]:
    values: Sequence[object] = [value]
    if isinstance(value, dict):
        values = list(dict.values(value))
    elif isinstance(value, list | tuple):
        values = value
    for one in values[:_LONGEST]:
        if callable(one) or type(one).__module__.startswith("starlette."):  # its list of middlewares, its routes
            yield one


def _attributes(one: object) -> dict[str, object]:
    """Its own, without calling anything of it."""
    try:
        found = object.__getattribute__(one, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}
