"""The backend of engine ``monitoring``: callbacks in C where they were built, in Python elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from otel_coverage.recording.callbacks import Callbacks

PURE_PYTHON = "OTEL_COVERAGE_PURE_PYTHON"


@dataclass(frozen=True, slots=True)
class Backend:
    """What the callbacks are written in.

    Attributes:
        name: ``none`` where the interpreter has no ``sys.monitoring``.
        reason: why it is this one, for people.
    """

    name: Literal["c", "python", "none"]
    reason: str


def select_backend() -> Backend:
    """The backend of an engine that is opened now."""
    if sys.version_info < (3, 12):
        return Backend("none", "sys.monitoring came with CPython 3.12")
    if os.environ.get(PURE_PYTHON, "0") not in ("", "0"):
        return Backend("python", f"{PURE_PYTHON} is set")
    try:
        from otel_coverage.recording import _callbacks  # noqa: F401
    except ModuleNotFoundError:
        return Backend("python", "the callbacks in C were not built: there was no C compiler at installation")
    except ImportError as error:
        return Backend("python", f"the callbacks in C do not load: {error}")
    return Backend("c", "built for this interpreter")


def callbacks_class(backend: Backend) -> type[Callbacks]:
    """The backend's class of callbacks; the one in C has the interface of the one in Python."""
    if backend.name == "c":
        from otel_coverage.recording import _callbacks

        return cast("type[Callbacks]", _callbacks.Callbacks)
    from otel_coverage.recording.callbacks import Callbacks

    return Callbacks
