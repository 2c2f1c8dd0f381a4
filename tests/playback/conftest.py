from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.playback.application import Application, serve
from tests.support.collector import collector

__all__ = ["application", "capture", "collector", "recording"]

Write = Callable[..., Path]


@pytest.fixture
def application() -> Iterator[Application]:
    with serve() as state:
        yield state


@pytest.fixture
def recording(tmp_path: Path) -> Write:
    """Writes ``<profile>/recording.jsonl`` and returns the file."""

    def write(*steps: dict[str, Any], profile: str = "tour") -> Path:
        folder = tmp_path / profile
        folder.mkdir(exist_ok=True)
        lines = [{"recording": 1, "profile": profile}, *steps]
        (folder / "recording.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        return folder / "recording.jsonl"

    return write


@pytest.fixture
def capture(tmp_path: Path) -> Write:
    """Writes ``<profile>/capture/events.jsonl`` and returns the profile's folder."""

    def write(*events: dict[str, Any], profile: str = "captured") -> Path:
        folder = tmp_path / profile / "capture"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)) + "\n")
        return folder.parent

    return write
