"""An engine and a ContextVar for the current recording, as a tracing library would hold it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args

import pytest

from otel_coverage.recording import CurrentRecording, Recording, open_engine
from otel_coverage.recording.backend import PURE_PYTHON
from otel_coverage.settings import EngineChoice, Granularity
from otel_coverage.source import SourceTree
from tests.recording.oracle import Ran

if TYPE_CHECKING:
    from typing_extensions import Self

Rearming = Literal["toggles", "restarts", "single_tool"]


@dataclass(frozen=True)
class Kind:
    """An engine, and how it works.

    Attributes:
        choice: the engine.
        rearming: how engine ``monitoring`` rearms code: one by one, by restarts, or by restarts with a single tool id.
        backend: what its callbacks are written in.
    """

    choice: EngineChoice
    rearming: Rearming = "toggles"
    backend: Literal["c", "python"] = "python"

    def __str__(self) -> str:
        return f"{self.backend} {self.rearming}" if self.choice == "monitoring" else self.choice


def _is_built() -> bool:
    return importlib.util.find_spec("otel_coverage.recording._callbacks") is not None


_KINDS = [Kind("monitoring", rearming) for rearming in get_args(Rearming)]
if _is_built():  # which never restarts for speed
    _KINDS += [Kind("monitoring", rearming, "c") for rearming in get_args(Rearming) if rearming != "restarts"]
MONITORING: tuple[Any, ...] = tuple(pytest.param(kind, marks=pytest.mark.since(3, 12)) for kind in _KINDS)
COVERAGE = Kind("coverage")
ENGINES: tuple[Any, ...] = (*MONITORING, COVERAGE)

_RESTART_ABOVE: dict[Rearming, float] = {"toggles": 1e9, "restarts": 0.0, "single_tool": 0.0}


class Recorder:
    """An engine for the programs of one folder."""

    def __init__(self, kind: Kind, folder: Path, granularity: Granularity = "line", *, branch: bool = False) -> None:
        self.variable: ContextVar[Any] = ContextVar("recording", default=None)
        self.granularity: Granularity = granularity
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(PURE_PYTHON, "1" if kind.backend == "python" else "0")
            current = CurrentRecording(self.variable)
            tree = SourceTree([str(folder)])
            self.engine = open_engine(kind.choice, granularity, tree, current, branch=branch)
        self._restart_above = _RESTART_ABOVE[kind.rearming] if kind.choice != "coverage" else None
        if self._restart_above is not None and sys.version_info >= (3, 12):
            assert self.engine.backend.name == kind.backend  # type: ignore[attr-defined]
        self._taken = TakenTools(leave=1) if kind.rearming == "single_tool" else nullcontext()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Self:
        self._taken.__enter__()
        if self._restart_above is not None and sys.version_info >= (3, 12):
            from otel_coverage.recording.callbacks import Callbacks

            self._patch.setattr(Callbacks, "restart_above", self._restart_above)
        return self

    def __exit__(
        self, raised: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.engine.close()
        self._patch.undo()
        self._taken.__exit__(raised, error, traceback)

    @contextmanager
    def under(self, recording: Recording | None) -> Iterator[None]:
        """Code that runs here belongs to the recording."""
        token = self.variable.set(recording)
        try:
            yield
        finally:
            self.variable.reset(token)

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """A recording of what runs here."""
        recording = self.engine.begin()
        try:
            with self.under(recording):
                yield recording
        finally:
            self.engine.end(recording)

    def ran(self, function: Callable[..., object], *arguments: object) -> Ran:
        """What one call runs, whatever it raises."""
        with self.recording() as recording:
            attempt(function, *arguments)
        assert recording.incomplete is None
        return Ran.of(recording.executed())

    def expected(self, ran: Ran) -> Ran:
        """The part of it that this granularity records."""
        return ran if self.granularity == "line" else ran.without_lines()


class TakenTools:
    """All tool ids of ``sys.monitoring`` but some, taken by another tool."""

    def __init__(self, leave: int) -> None:
        self._leave = leave
        self._taken: list[int] = []

    def __enter__(self) -> Self:
        free = [tool for tool in range(6) if sys.monitoring.get_tool(tool) is None]
        for tool in free[self._leave :]:
            sys.monitoring.use_tool_id(tool, "somebody else")
            self._taken.append(tool)
        return self

    def __exit__(self, *_error: object) -> None:
        for tool in self._taken:
            sys.monitoring.free_tool_id(tool)
        self._taken = []


def attempt(function: Callable[..., object], *arguments: object) -> None:
    """Call it, whatever it raises."""
    with suppress(Exception):
        function(*arguments)


@contextmanager
def imported(folder: Path, module: str) -> Iterator[ModuleType]:
    """The program's module; unloaded, with all others of its folder, when the block ends."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(module)
    finally:
        sys.path.remove(str(folder))
        forget(folder)


def forget(folder: Path) -> None:
    """Have the folder's modules imported anew next time."""
    for name, loaded in list(sys.modules.items()):
        if (getattr(loaded, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
