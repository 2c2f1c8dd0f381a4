"""The attributes of OpenTelemetry's messaging conventions, on all spans about jobs."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from opentelemetry.util.types import AttributeValue

from otel_coverage.signals import is_raised_by_handler


def attributes(job_id: str, queue: str, function: str, name: str, kind: str) -> dict[str, AttributeValue]:
    """The attributes of OpenTelemetry's messaging conventions, which have no value of their own for RQ."""
    return {
        "messaging.system": "rq",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": queue,
        "messaging.message.id": job_id,
        "messaging.rq.function": function,
    }


def entry_name(job: Any, function: str) -> tuple[str, Any]:
    """What a job's entry point is called, and its function, of what is imported in this process.

    Args:
        job: a job.
        function: its function's name, of :func:`function_of`.

    Returns:
        ``module:qualname`` and the function; the dotted name and None where its module is not imported.
    """
    owner = _class_of(job)
    if owner is not None:
        method = function.rpartition(".")[2]
        return f"{owner.__module__}:{owner.__qualname__}.{method}", _member(owner, method)
    parts = function.split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:end]))
        if found is None:
            continue
        for name in parts[end:]:
            found = _member(found, name)
        return f"{'.'.join(parts[:end])}:{'.'.join(parts[end:])}", found
    return function, None


def _member(owner: Any, name: str) -> Any:
    """What ``owner``, a module or class, has of that name, without calling anything of it."""
    if isinstance(owner, ModuleType):
        return vars(owner).get(name)
    if isinstance(owner, type):
        return next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), None)
    return None


def function_of(job: Any) -> str:
    """The dotted name of the job's function; empty where it is not known.

    Of a method RQ has the name alone, beside the object, which is known where the job is deserialized.
    """
    try:
        name = job.func_name or ""
    except Exception as error:  # its data cannot be deserialized, which RQ reports when it fails the job
        if is_raised_by_handler(error):
            raise
        return ""
    owner = _class_of(job) if name else None
    return name if owner is None else f"{owner.__module__}.{owner.__qualname__}.{name}"


def _class_of(job: Any) -> type | None:
    """The class whose method the job calls; None where it calls a function, or is not deserialized."""
    instance = getattr(job, "_instance", None)
    if instance is None or type(instance) is object:  # RQ's mark of a job that is not deserialized
        return None
    return instance if isinstance(instance, type) else type(instance)
