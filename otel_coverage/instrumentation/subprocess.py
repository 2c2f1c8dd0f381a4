"""Commands that traced code starts: ``subprocess`` hands them its context; what goes another way is marked.

``os.system``, ``os.posix_spawn``, ``os.exec*`` and bare forks are not followed. The entry that used one of them is
incomplete. An audit hook would see all of these, too, but ``id()`` is an audited event: one hook in Python makes
``copy.deepcopy`` more than twice as slow in the whole process, and cannot be removed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context

from otel_coverage.instrumentation.environment import child_environment, end_process_span
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.propagation import FLUSH_SECONDS, is_traced
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.export.provider import flush
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import Recorder, installed

_ENV = 10  # the position of ``env`` among Popen's parameters
_STARTERS = ["system", "posix_spawn", "posix_spawnp", "startfile"]
if os.name == "nt":
    _STARTERS += ["spawnv", "spawnve"]  # elsewhere these fork
_REPLACERS = ["execv", "execve"]  # every os.exec* calls one of them

_is_followed: ContextVar[bool] = ContextVar("otel_coverage_start_is_followed", default=False)


def instrument_subprocess(patches: Patches, recorder: Recorder) -> None:
    """Have commands continue the context that started them, and mark entries that start some in another way."""
    instrument_popen(patches, recorder, subprocess.Popen)
    hooks = _Hooks(recorder)
    for names, wrapper in ((_STARTERS, hooks.start_unfollowed), (_REPLACERS, hooks.replace_process)):
        for name in names:
            if hasattr(os, name):
                patches.wrap(os, name, wrapper)


def instrument_popen(patches: Patches, recorder: Recorder, popen: type) -> None:
    """Have the commands that ``popen``, a class like ``subprocess.Popen``, starts continue the context."""
    patches.wrap(popen, "__init__", _Hooks(recorder).popen)


@contextmanager
def followed() -> Iterator[None]:
    """A block in which processes are started that are recorded, or that run no code of the application."""
    token = _is_followed.set(True)
    try:
        yield
    finally:
        _is_followed.reset(token)


class _Hooks:
    """The wrappers. A failure in them is logged and counted; the command starts all the same."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def popen(self, init: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Popen.__init__``: the environment names the context."""
        try:
            if is_traced(self._recorder):
                if len(args) > _ENV:
                    args = (*args[:_ENV], child_environment(args[_ENV]), *args[_ENV + 1 :])
                else:
                    kwargs = {**kwargs, "env": child_environment(kwargs.get("env"))}
        except Exception as error:
            log.failed("passing a context to a command", error)
        with followed():  # Popen uses os.posix_spawn itself, and forks where there is a ``preexec_fn``
            return init(*args, **kwargs)

    def start_unfollowed(self, start: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``os.system`` and ``os.posix_spawn``."""
        _mark_unfollowed(start)
        return start(*args, **kwargs)

    def replace_process(
        self, execute: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """``os.execv`` and ``os.execve``: all that this process has recorded is written and sent before."""
        try:
            # a forked child records nothing; os.execvp tries each folder of PATH, most of which have no such command
            if self._recorder.is_recording and _is_executable(args[0] if args else kwargs["path"]):
                _mark_unfollowed(execute)
                end_process_span()
                self._recorder.flush_partial()
                flush(FLUSH_SECONDS)
        except Exception as error:
            log.failed("writing what was recorded before os.exec", error)
        return execute(*args, **kwargs)


def _mark_unfollowed(start: Callable[..., Any]) -> None:
    try:
        _mark_entry(
            "untraced_process",
            f"it called os.{start.__name__}, which carries no context: what that program executes is not recorded "
            "(subprocess carries it)",
        )
    except Exception as error:
        log.failed("marking a request that started a program", error)


def _mark_entry(reason: str, detail: str) -> None:
    entry = None if _is_followed.get() else entry_of(otel_context.get_current())
    if entry is not None:
        entry.mark_incomplete(reason, detail)


def _is_executable(path: Any) -> bool:
    return isinstance(path, int) or os.access(path, os.X_OK)


def _after_fork_in_parent() -> None:
    if installed() is not None:
        _mark_entry("fork", "it forked (os.fork, os.spawn*): what the child executes is not recorded")


def _after_fork_in_child() -> None:
    _is_followed.set(False)  # the block that it was forked in may be all of its life


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
