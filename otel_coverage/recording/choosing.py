"""Which callbacks serve engine ``monitoring``: those in C wherever they were built, those in Python elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from otel_coverage.recording.callbacks import Callbacks

PURE_PYTHON = "OTEL_COVERAGE_PURE_PYTHON"


@dataclass(frozen=True, slots=True)
class Implementation:
    """What the callbacks are written in.

    Attributes:
        name: ``none`` where the interpreter has nothing to call them.
        reason: why it is this one, in words.
    """

    name: Literal["c", "python", "none"]
    reason: str


def implementation() -> Implementation:
    """The callbacks that an engine opened now gets."""
    if sys.version_info < (3, 12):
        return Implementation("none", "sys.monitoring came with CPython 3.12")
    if os.environ.get(PURE_PYTHON, "0") not in ("", "0"):
        return Implementation("python", f"{PURE_PYTHON} is set")
    try:
        from otel_coverage.recording import _callbacks  # noqa: F401
    except ModuleNotFoundError:
        return Implementation("python", "the callbacks in C were not built: there was no C compiler at installation")
    except ImportError as error:
        return Implementation("python", f"the callbacks in C do not load: {error}")
    return Implementation("c", "built for this interpreter")


def callbacks_of(chosen: Implementation) -> type[Callbacks]:
    """The class of those callbacks; the one in C has the interface of the one in Python."""
    if chosen.name == "c":
        from otel_coverage.recording import _callbacks

        return cast("type[Callbacks]", _callbacks.Callbacks)
    from otel_coverage.recording.callbacks import Callbacks

    return Callbacks
