"""Commands that traced code starts: the environment that they get names the trace and the playback.

:mod:`.process` reads it on the other side. A bare ``os.fork()`` goes on in the middle of a function, in a process that
may leave without a word: what it executes is not recorded, and its parent says so.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel_context

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.process import VARIABLES, leave_process
from otel_coverage.instrumentation.propagation import FLUSH_SECONDS, inject, is_traced
from otel_coverage.tracing.context import entry_of
from otel_coverage.tracing.log import log
from otel_coverage.tracing.provider import flush
from otel_coverage.tracing.recorder import Recorder, installed

_POPEN_ENV = 10  # the position of ``env`` among Popen's parameters
_SPAWN_ENV = 2  # and among those of posix_spawn

_patches = Patches()
_hooks: _Hooks | None = None
_is_followed: ContextVar[bool] = ContextVar("otel_coverage_fork_is_followed", default=False)


def hook_commands(recorder: Recorder) -> None:
    """Have the commands that traced code starts continue its trace. Doing it twice changes nothing."""
    global _hooks
    if _hooks is not None:
        return
    _hooks = hooks = _Hooks(recorder)
    _patches.wrap(subprocess.Popen, "__init__", hooks.popen)
    for name, wrapper in (
        ("posix_spawn", hooks.posix_spawn),
        ("posix_spawnp", hooks.posix_spawn),
        ("execv", hooks.execute),
        ("execve", hooks.execute),
        ("_spawnvef", hooks.spawn),
        ("system", hooks.system),
    ):
        if os.name == "posix" and hasattr(os, name):
            _patches.wrap(os, name, wrapper)


def hook_popen(popen: type) -> None:
    """The same for the commands that another class like ``subprocess.Popen`` starts."""
    if _hooks is not None:
        _patches.wrap(popen, "__init__", _hooks.popen)


def release_commands() -> None:
    """Undo :func:`hook_commands`."""
    global _hooks
    _hooks = None
    _patches.undo()


@contextmanager
def following_forks() -> Iterator[None]:
    """Forks in this block are followed into the child, or run nothing of the application there."""
    token = _is_followed.set(True)
    try:
        yield
    finally:
        _is_followed.reset(token)


class _Hooks:
    """The wrappers. What fails in them is counted; the command starts all the same."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._execve = os.execve

    def popen(self, init: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``Popen.__init__``: the environment names the context, unless the caller's own names another."""
        args, kwargs = self._with_environment(args, kwargs, _POPEN_ENV)
        with following_forks():  # a ``preexec_fn`` makes it a fork that Python sees
            return init(*args, **kwargs)

    def posix_spawn(self, spawn: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``os.posix_spawn``, and the one that looks the command up on PATH."""
        args, kwargs = self._with_environment(args, kwargs, _SPAWN_ENV)
        return spawn(*args, **kwargs)

    def spawn(self, spawn: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What all kinds of ``os.spawn*`` come to: a fork and, there, an ``os.exec*``."""
        with following_forks():
            return spawn(*args, **kwargs)

    def system(self, system: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``os.system``: the shell is told first, since it gets this process's own environment."""
        try:
            if is_traced(self._recorder) and args and isinstance(args[0], str):
                named = _environment(None)
                told = [f"export {name}={shlex.quote(named[name])}" for name in VARIABLES if name in named]
                args = ("\n".join([*told, args[0]]), *args[1:])
        except Exception as error:
            log.failed("handing a trace to a command", error)
        return system(*args, **kwargs)

    def execute(self, execute: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """``os.execv`` and ``os.execve``, to which all others come: all that this process has to say, it says now."""
        try:
            if is_traced(self._recorder) and not kwargs:
                path, arguments, *environ = args
                args = (path, arguments, _environment(environ[0] if environ else None))
                execute = self._execve
                # most of the folders on PATH hold no such command, and a bare fork has nothing to say
                if self._recorder.is_recording and os.access(path, os.X_OK):
                    leave_process()
                    self._recorder.flush_partial()
                    flush(FLUSH_SECONDS)
        except Exception as error:
            log.failed("handing a trace to a command", error)
        return execute(*args, **kwargs)

    def _with_environment(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], position: int
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            if is_traced(self._recorder):
                if len(args) > position:
                    return (*args[:position], _environment(args[position]), *args[position + 1 :]), kwargs
                return args, {**kwargs, "env": _environment(kwargs.get("env"))}
        except Exception as error:
            log.failed("handing a trace to a command", error)
        return args, kwargs


def _environment(given: Mapping[Any, Any] | None) -> dict[Any, Any]:
    """The environment of a command: what the caller gives, with the context, unless it names another one itself."""
    environ: dict[Any, Any] = dict(os.environ if given is None else given)
    found = inject()
    for name, header in VARIABLES.items():
        if name in environ and environ[name] != os.environ.get(name):
            continue
        environ.pop(name, None)
        if header in found:
            environ[name] = found[header]
    return environ


def _after_fork_in_parent() -> None:
    if installed() is None or _is_followed.get():
        return
    entry = entry_of(otel_context.get_current())
    if entry is not None:
        entry.mark_incomplete("fork", "it forked (os.fork): what the child executed is not recorded")


def _after_fork_in_child() -> None:
    _is_followed.set(False)  # the block that it was forked in may be all of its life


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
