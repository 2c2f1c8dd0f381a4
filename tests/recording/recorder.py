"""An engine with a place for the current recording, as a tracing library would hold it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

from otel_coverage.recording import CurrentRecording, Recording, open_engine
from otel_coverage.settings import EngineChoice, Granularity
from otel_coverage.source import SourceTree
from tests.recording.oracle import Ran
from tests.recording.oracle_process import RAISED

HAS_MONITORING = sys.version_info >= (3, 12)
ENGINES: tuple[EngineChoice, ...] = ("monitoring", "coverage") if HAS_MONITORING else ("coverage",)


class Recorder:
    """An engine for the programs of one folder."""

    def __init__(self, choice: EngineChoice, folder: Path, granularity: Granularity = "line") -> None:
        self.variable: ContextVar[Any] = ContextVar("recording", default=None)
        self.granularity: Granularity = granularity
        self.engine = open_engine(choice, granularity, SourceTree([str(folder)]), CurrentRecording(self.variable))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.engine.close()

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
        assert recording.incomplete_reason is None
        return Ran.of(recording.executed())

    def wanted(self, ran: Ran) -> Ran:
        """What a recorder of this granularity finds of that."""
        return ran if self.granularity == "line" else ran.without_lines()


def attempt(function: Callable[..., object], *arguments: object) -> None:
    """Call it, whatever it raises."""
    with suppress(*RAISED):
        function(*arguments)


@contextmanager
def imported(folder: Path, module: str) -> Iterator[ModuleType]:
    """The program's module; gone, with all others of its folder, when the block ends."""
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
