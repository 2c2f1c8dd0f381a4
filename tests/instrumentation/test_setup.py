"""Installing the hooks and taking them out again: once is as good as twice, and nothing of ours stays."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import multiprocessing.pool
import multiprocessing.process
import os
import subprocess
import sys
import threading
import types
from collections import deque
from collections.abc import Callable
from multiprocessing import spawn
from typing import Any

import flask
import pytest
import rq.job
import rq.queue
import rq.worker

import otel_coverage
from otel_coverage.instrumentation import setup
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.tracing.log import log
from tests.support.commands import call
from tests.support.traced import STORE_FRONT, Spans

HOOKED: list[tuple[Any, str]] = [
    (subprocess.Popen, "__init__"),
    *((os, name) for name in ("system", "posix_spawn", "posix_spawnp", "execv", "execve")),
    (multiprocessing.process.BaseProcess, "start"),
    (multiprocessing.process.BaseProcess, "_bootstrap"),
    (spawn, "prepare"),
    (spawn, "get_preparation_data"),
    (concurrent.futures.ProcessPoolExecutor, "submit"),
    (multiprocessing.pool.Pool, "apply_async"),
    (multiprocessing.pool.Pool, "_guarded_task_generation"),
    (threading.Thread, "start"),
    (concurrent.futures.ThreadPoolExecutor, "submit"),
    (_thread, "start_new_thread"),
    (asyncio, "run_coroutine_threadsafe"),
    (asyncio.tasks, "run_coroutine_threadsafe"),
    (flask.Flask, "__call__"),
    (rq.job.Job, "create"),
    (rq.job.Job, "perform"),
    (rq.queue.Queue, "run_sync"),
    (rq.worker.Worker, "perform_job"),
    (rq.worker.Worker, "fork_work_horse"),
    (rq.worker.Worker, "work"),
]
if hasattr(rq.worker, "SpawnWorker"):
    HOOKED.append((rq.worker.SpawnWorker, "fork_work_horse"))


def hooked() -> list[Any]:
    """What stands where the hooks are put."""
    return [next(vars(base)[name] for base in bases(owner) if name in vars(base)) for owner, name in HOOKED]


def bases(owner: Any) -> tuple[Any, ...]:
    return (owner,) if isinstance(owner, types.ModuleType) else owner.__mro__


def instrument(spans: Spans, app: flask.Flask | None = None) -> None:
    otel_coverage.instrument(app, tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])


@pytest.mark.parametrize("with_app", [True, False], ids=["an application", "all applications"])
def test_uninstrumenting_puts_back_the_very_same_functions(with_app: bool, spans: Spans) -> None:
    before = hooked()
    for _ in range(2):
        instrument(spans, flask.Flask("shop") if with_app else None)
        assert all(new is not old for new, old in zip(hooked(), before, strict=True))
        otel_coverage.uninstrument()
        assert all(new is old for new, old in zip(hooked(), before, strict=True))


def test_instrumenting_1200_times_is_instrumenting_once(spans: Spans) -> None:
    def sizes() -> tuple[int, ...]:
        return len(setup._patches._undo), len(setup._watched), len(setup._on_import)

    app = flask.Flask("shop")
    instrument(spans, app)
    once, size = hooked(), sizes()
    for _ in range(1200):
        instrument(spans, app)
    assert all(new is old for new, old in zip(hooked(), once, strict=True))
    assert sizes() == size


def test_instrumenting_and_uninstrumenting_by_turns_leaves_nothing_behind(spans: Spans) -> None:
    before = hooked()
    for _ in range(50):
        instrument(spans)
        otel_coverage.uninstrument()
    assert all(new is old for new, old in zip(hooked(), before, strict=True))
    assert len(setup._watched) <= 30
    assert setup._patches._undo == []


def test_what_others_wrapped_since_stays_theirs_and_ours_below_passes_each_call_through(spans: Spans) -> None:
    owner: Any = flask.Flask
    plain = owner.__call__
    instrument(spans)
    below = vars(flask.Flask)["__call__"]
    seen = []

    def theirs(app: flask.Flask, environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        return below(app, environ, start_response)

    owner.__call__ = theirs
    try:
        otel_coverage.uninstrument()
        assert vars(flask.Flask)["__call__"] is theirs
        answer = flask.Flask("shop").test_client().get("/no-such-page", headers={"X-Profile-Trace": "checkout"})
        assert (answer.status_code, seen) == (404, ["/no-such-page"])
        assert spans.ended == []
    finally:
        owner.__call__ = plain


class Somebodys:
    """A class of another package."""

    @classmethod
    def made(cls) -> str:
        return cls.__name__

    def method(self, word: str) -> str:
        return word


def counting(calls: list[str]) -> Callable[..., Any]:
    def wrapper(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        calls.append(wrapped.__name__)
        return wrapped(*args, **kwargs)

    return wrapper


def test_a_wrapper_that_cannot_be_taken_out_does_nothing_any_more() -> None:
    calls: list[str] = []
    patches = Patches()
    originals = {name: vars(Somebodys)[name] for name in ("made", "method")}
    for name in originals:
        patches.wrap(Somebodys, name, counting(calls))
        patches.wrap(Somebodys, name, counting(calls))
    ours = vars(Somebodys)["method"]
    assert (Somebodys.made(), Somebodys().method("x"), calls) == ("Somebodys", "x", ["made", "method"])
    Somebodys.method = lambda self, word: ours.__get__(self)(word) + "!"  # type: ignore[method-assign]
    patches.undo()
    assert vars(Somebodys)["made"] is originals["made"]
    assert (Somebodys.made(), Somebodys().method("x"), calls) == ("Somebodys", "x!", ["made", "method"])


def test_a_method_that_a_class_in_c_defines_is_wrapped_in_the_subclass() -> None:
    class Own(deque[str]):
        pass

    calls: list[str] = []
    patches = Patches()
    patches.wrap(Own, "append", counting(calls))
    own = Own()
    own.append("x")
    assert (list(own), calls) == (["x"], ["append"])
    patches.undo()
    assert "append" not in vars(Own)
    own.append("y")
    assert (list(own), calls) == (["x", "y"], ["append"])


def test_what_is_put_on_last_is_undone_first() -> None:
    undone: list[str] = []
    patches = Patches()
    actions = {name: lambda name=name: undone.append(name) for name in ("first", "second")}
    for name in ("first", "second", "first"):
        patches.on_undo(actions[name])
    patches.undo()
    patches.undo()
    assert undone == ["second", "first"]


def test_packages_imported_later_are_instrumented_then() -> None:
    program = """
import otel_coverage
otel_coverage.instrument(enabled=True, source=["store_front"])
import flask, gevent, gevent.subprocess, rq.job
places = lambda: [vars(flask.Flask)["__call__"], vars(gevent.subprocess.Popen)["__init__"], vars(rq.job.Job)["create"]]
kinds = lambda: {type(place).__name__ for place in places()}
for _ in range(2):
    assert kinds() == {"FunctionWrapper"}
    otel_coverage.uninstrument()
    assert "FunctionWrapper" not in kinds()
    otel_coverage.instrument(enabled=True, source=["store_front"])
"""
    done = call([sys.executable, "-c", program], OTEL_TRACES_EXPORTER="none")
    assert done.returncode == 0, done.stderr


def test_a_package_that_cannot_be_instrumented_breaks_neither_its_import_nor_instrument(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(setup, "_instrument_rq", fails)
    otel_coverage.instrument(tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT])
    assert log.counts["failures"] == 1
