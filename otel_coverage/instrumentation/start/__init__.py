"""What ``otel-coverage run`` starts in every Python below the command: OpenTelemetry, once something needs it.

To instrument a process takes a tenth of a second and 15 MB, which many children of an application need not spend. So it
waits for the first import of something that is instrumented, and each of OpenTelemetry's instrumentors for that of what
it instruments. ``run`` knows what these are, and says it in :data:`AWAITED`. A process whose environment names a
playback is recorded from its first line. Nothing is imported here that the interpreter has not imported already.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# prefix of run's interpreter, and what each instrumentor waits for: /usr:flask=flask:sqlalchemy=sqlalchemy
AWAITED = "OTEL_COVERAGE_START_AT"
FOLDER = os.path.dirname(os.path.abspath(__file__))

# what OpenTelemetry does in processes that import nothing in particular
_FROM_THE_FIRST_LINE = (
    "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH",
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED",
    "OTEL_PYTHON_LOG_CORRELATION",
)


def begin() -> None:
    """Instrument this process: now, where something begins now, else once it imports what is instrumented."""
    prefix, _, awaited = os.environ.get(AWAITED, "").partition(os.pathsep)
    modules_of: dict[str, frozenset[str]] = {}
    for instrumentor in awaited.split(os.pathsep) if prefix == sys.prefix and awaited else ():
        name, _, modules = instrumentor.partition("=")
        modules_of[name] = frozenset(filter(None, modules.split(",")))
    if os.getpid() == 1:
        _wait_at_exit()
    if not modules_of or _begins_now():
        _instrument(modules_of)
    elif not _serves_multiprocessing():
        sys.meta_path.insert(0, _Awaited(modules_of))


def _wait_at_exit() -> None:
    """The container ends with this process, and the sender of the spool with the container."""
    import atexit

    def wait() -> None:
        if os.getpid() != 1 or "otel_coverage.tracing.export.provider" in sys.modules:
            return  # a forked child; a process that waits for its own spool
        # nothing begins any more: threads, which OpenTelemetry makes, cannot be started at exit
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Awaited)]
        try:
            from otel_coverage.spool.wait import wait_as_first_process

            wait_as_first_process()
        except Exception as error:
            sys.stderr.write("otel-coverage: waiting for spans to be sent failed: " + str(error) + "\n")

    atexit.register(wait)


class _Awaited:
    """A finder that finds nothing, and begins in time."""

    def __init__(self, modules_of: dict[str, frozenset[str]]) -> None:
        self._modules_of = modules_of
        self._names = frozenset().union(*modules_of.values())

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What the finders say that stand there once it has begun; None for what nobody waits for."""
        if name not in self._names and not name.startswith("otel_coverage."):
            return None
        try:
            sys.meta_path.remove(self)
        except ValueError:
            return None  # another thread was faster
        _instrument(self._modules_of)
        module = sys.modules.get(name)
        if module is not None:
            return _spec_of(module)
        finders = (
            getattr(finder, "find_spec", None) for finder in list(sys.meta_path)
        )  # there are hooks among them now
        specs = (find(name, path, target) for find in finders if find is not None)
        return next((spec for spec in specs if spec is not None), None)


class _Imported:
    """Loads a module that is there already, without executing it again."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing, but that it keeps its own spec."""
        module.__spec__ = self._spec


def _spec_of(module: ModuleType) -> ModuleSpec:
    from importlib.machinery import ModuleSpec

    loader: Any = _Imported(module)
    spec = ModuleSpec(module.__name__, loader, is_package=hasattr(module, "__path__"))
    module.__spec__ = spec  # which the interpreter prefers to what a finder says
    return spec


def _instrument(modules_of: dict[str, frozenset[str]]) -> None:
    try:
        from otel_coverage.instrumentation.deferred import deferred

        # our own instrumentor waits for nothing: it has hooks of its own for what is imported later
        with deferred({name: modules for name, modules in modules_of.items() if name != "otel_coverage"}):
            # its own way in: for its children, while it works, and for errors
            import opentelemetry.instrumentation.auto_instrumentation.sitecustomize  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("opentelemetry", "wrapt"):
            raise


def _begins_now() -> bool:
    environ = os.environ
    if any(environ.get(name) for name in _FROM_THE_FIRST_LINE):
        return True
    if not _is_on("OTEL_COVERAGE_ENABLED"):
        return False
    if _is_on("OTEL_COVERAGE_STARTUP") and not _serves_multiprocessing():
        return True  # what runs before the first import of anything instrumented is a part of it
    command = " ".join(sys.orig_argv[1:4])
    return (
        "from multiprocessing.spawn " in command
        or "from multiprocessing.forkserver " in command
        or ("playback." in environ.get("BAGGAGE", "") and not _serves_multiprocessing())
    )


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "0").strip().lower() not in ("", "0", "false", "no", "off")


def _serves_multiprocessing() -> bool:
    """Whether it is a helper of multiprocessing, that runs nothing of anybody's."""
    return "from multiprocessing.resource_tracker " in " ".join(sys.orig_argv[1:4])
