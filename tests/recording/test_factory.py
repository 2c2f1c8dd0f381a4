"""Which engine serves, and the error where none can."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.recording import CurrentRecording, Engine, open_engine
from otel_coverage.settings import EngineChoice
from otel_coverage.source import SourceTree


def opened(choice: EngineChoice, folder: Path) -> Engine:
    variable: ContextVar[Any] = ContextVar("recording", default=None)
    return open_engine(choice, "line", SourceTree([str(folder)]), CurrentRecording(variable))


@pytest.mark.since(3, 12)
def test_monitoring_serves_by_default_where_it_can(tmp_path: Path) -> None:
    assert opened("auto", tmp_path).name == "monitoring"


@pytest.mark.until(3, 11)
def test_coverage_serves_by_default_where_monitoring_cannot(tmp_path: Path) -> None:
    assert opened("auto", tmp_path).name == "coverage"


@pytest.mark.until(3, 11)
def test_monitoring_asked_for_where_it_cannot_run_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"needs CPython 3\.12 or later, this is 3\.1[01]\..*=coverage$"):
        opened("monitoring", tmp_path)


def test_coverage_can_be_chosen_everywhere(tmp_path: Path) -> None:
    assert opened("coverage", tmp_path).name == "coverage"


@pytest.mark.parametrize("choice", ["auto", "coverage"])
def test_without_the_gil_every_engine_is_refused_in_one_line(
    choice: EngineChoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(ConfigurationError, match=r"without the GIL.*PYTHON_GIL=1$"):
        opened(choice, tmp_path)


def test_closing_twice_or_unused_is_fine(tmp_path: Path) -> None:
    engine = opened("auto", tmp_path)
    engine.close()
    engine.end(engine.begin())
    engine.close()
    engine.close()


def test_ending_twice_is_fine(tmp_path: Path) -> None:
    engine = opened("auto", tmp_path)
    recording = engine.begin()
    engine.end(recording)
    engine.end(recording)
    assert not recording.executed()
    engine.close()
