"""What ``otel-coverage run`` starts in every Python below the command: OpenTelemetry, once something needs it.

To instrument a process takes a third of a second and 20 MB, which many children of an application need not spend. So it
waits for the first import of something that is instrumented; ``run`` knows which these are, and says it in
:data:`AWAITED`. A process whose environment names a playback is recorded from its first line. Nothing is imported here
that the interpreter has not imported already.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

AWAITED = "OTEL_COVERAGE_START_AT"  # prefix of run's interpreter, and the modules whose import starts OpenTelemetry
FOLDER = os.path.dirname(os.path.abspath(__file__))

# what OpenTelemetry does in processes that import nothing in particular
_FROM_THE_FIRST_LINE = (
    "OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH",
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED",
    "OTEL_PYTHON_LOG_CORRELATION",
)


def begin() -> None:
    """Instrument this process: now, where something begins now, else once it imports what is instrumented."""
    prefix, _, names = os.environ.get(AWAITED, "").partition(os.pathsep)
    if prefix != sys.prefix or not names or _begins_now():
        _instrument()
    elif not _serves_multiprocessing():
        sys.meta_path.insert(0, _Awaited(frozenset(names.split(","))))


class _Awaited:
    """A finder that finds nothing, and begins in time."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

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
        _instrument()
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


def _instrument() -> None:
    try:
        # its own way in: for its children, while it works, and for errors
        import opentelemetry.instrumentation.auto_instrumentation.sitecustomize  # noqa: F401
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise


def _begins_now() -> bool:
    environ = os.environ
    if any(environ.get(name) for name in _FROM_THE_FIRST_LINE):
        return True
    if environ.get("OTEL_COVERAGE_ENABLED", "0").strip().lower() in ("", "0", "false", "no", "off"):
        return False
    command = " ".join(sys.orig_argv[1:4])
    return (
        "from multiprocessing.spawn " in command
        or "from multiprocessing.forkserver " in command
        or ("playback." in environ.get("BAGGAGE", "") and not _serves_multiprocessing())
    )


def _serves_multiprocessing() -> bool:
    """Whether it is a helper of multiprocessing, that runs nothing of anybody's."""
    return "from multiprocessing.resource_tracker " in " ".join(sys.orig_argv[1:4])
