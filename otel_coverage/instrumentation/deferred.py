"""OpenTelemetry's instrumentors below ``otel-coverage run``: each one starts when what it instruments is imported.

OpenTelemetry loads all of them at once: it reads the metadata of each, and each imports the library that it
instruments. A process that uses Flask alone would pay for every HTTP client that is installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType

import wrapt
from opentelemetry.instrumentation.distro import BaseDistro, DefaultDistro  # type: ignore[attr-defined]
from opentelemetry.util._importlib_metadata import entry_points  # it keeps what it has read

from otel_coverage.tracing.log import logger

_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

waiting: set[str] = set()
"""The instrumentors that wait in this process, by the names of their entry points."""


@contextmanager
def deferred(modules_of: Mapping[str, frozenset[str]]) -> Iterator[None]:
    """A block in which OpenTelemetry starts, without those instrumentors that can wait.

    Args:
        modules_of: what each instrumentor, by the name of its entry point, instruments; one that is missing here, or
            instruments nothing that can be imported, cannot wait.
    """
    disabled = os.environ.get(_DISABLED)
    later = [
        name for name, modules in modules_of.items() if modules and not any(module in sys.modules for module in modules)
    ]
    if disabled == "*":
        later = []
    elif later:
        os.environ[_DISABLED] = ",".join(filter(None, [disabled, *later]))
    try:
        yield
    finally:
        if disabled is None:
            os.environ.pop(_DISABLED, None)
        else:
            os.environ[_DISABLED] = disabled
    waiting.update(later)
    for name in later:
        instrumentor = _Waiting(name, _distro())
        for module in modules_of[name]:
            wrapt.register_post_import_hook(instrumentor, module)


class _Waiting:
    """An instrumentor that begins with the first of its modules that is imported."""

    def __init__(self, name: str, distro: BaseDistro) -> None:
        self._name = name
        self._distro: BaseDistro | None = distro

    def __call__(self, _: ModuleType) -> None:
        distro, self._distro = self._distro, None
        if distro is None:
            return
        waiting.discard(self._name)
        try:
            for entry_point in entry_points(group="opentelemetry_instrumentor", name=self._name):
                distro.load_instrumentor(entry_point)  # checks the library's version
        except Exception as error:  # otherwise raised into the application's import statement
            logger.warning("OpenTelemetry's instrumentation %r cannot be used: %s", self._name, error)


def _distro() -> BaseDistro:
    """The one that OpenTelemetry has just configured: of each class there is one object."""
    classes: list[type[BaseDistro]] = [BaseDistro]
    for known in classes:
        classes.extend(known.__subclasses__())
        found = vars(known).get("_instance")
        if isinstance(found, BaseDistro):
            return found
    return DefaultDistro()
