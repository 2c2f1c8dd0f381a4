"""What becomes of commands that were queued on a Redis pipeline: it is executed, it fails, or it is discarded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otel_coverage.signals import is_raised_by_handler

_ATTRIBUTE = "_otel_coverage_waiting"

_classes: dict[type[Any], type[Any]] = {}  # those that report what becomes of a pipeline, by its own class

# called once: with None after the execution, else with the error that prevented it
Outcome = Callable[[BaseException | None], None]


class NeverExecutedError(Exception):
    """The pipeline was reset before anybody executed it."""


def when_executed(pipeline: Any, outcome: Outcome) -> None:
    """Have ``outcome`` learn what becomes of the commands that are on the pipeline now.

    Only pipelines that somebody asks about are changed, and only until then: each gets a class of its own for that
    time, since a wrapper in the object would be a reference to itself, and keep its connection from the pool.

    Args:
        pipeline: of redis-py, or of what behaves like it.
        outcome: must not raise.
    """
    try:
        waiting: list[Outcome] | None = pipeline.__dict__.get(_ATTRIBUTE)
        if waiting is not None:
            waiting.append(outcome)
            return
        pipeline.__class__ = _observed(type(pipeline))
        pipeline.__dict__[_ATTRIBUTE] = [outcome]
    except Exception as error:  # an object whose class is fixed: better a call too many, marked, than one too few
        outcome(None)
        if is_raised_by_handler(error):
            raise


def _observed(own_class: type[Any]) -> type[Any]:
    if own_class in _classes:
        return _classes[own_class]

    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        waiting = _restore(self, own_class)
        try:
            results = self.execute(*args, **kwargs)
        except BaseException as error:
            for outcome in waiting:
                outcome(error)
            raise
        for outcome in waiting:
            outcome(None)
        return results

    def reset(self: Any, *args: Any, **kwargs: Any) -> Any:
        for outcome in _restore(self, own_class):
            outcome(NeverExecutedError())
        return self.reset(*args, **kwargs)

    names = {"execute": execute, "reset": reset, "__module__": own_class.__module__}
    observed = type(own_class.__name__, (own_class,), names)
    observed.__qualname__ = own_class.__qualname__
    _classes[own_class] = observed
    return observed


def _restore(pipeline: Any, own_class: type[Any]) -> list[Outcome]:
    pipeline.__class__ = own_class
    waiting: list[Outcome] = pipeline.__dict__.pop(_ATTRIBUTE)
    return waiting
