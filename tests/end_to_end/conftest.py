from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otel_coverage.demo.example import Example
from tests.end_to_end import reference, two_nights
from tests.end_to_end.once import once
from tests.end_to_end.played import Played, play

GEVENT = ("--worker-class", "gevent")
TIMEOUT = 900.0  # seconds: the first test runs the demo, and others wait for it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All profiles, one after the other."""
    folder, made = once(tmp_path_factory, "played", play)
    return Played(folder / "artifacts", made["printed"], made["rows"])


@pytest.fixture(scope="session")
def two_nights_store(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of `played`, with a night before it; opened by one process at a time."""
    _, made = once(tmp_path_factory, "two-nights", lambda folder: str(two_nights.made(played.out.parent, folder)))
    return Path(made)


@pytest.fixture(scope="session")
def played_at_once(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All profiles concurrently, against eight threads."""
    count = str(len(Example.find().slugs))
    folder, made = once(tmp_path_factory, "played-at-once", lambda folder: play(folder, "--concurrency", count))
    return Played(folder / "artifacts", made["printed"], made["rows"])


@pytest.fixture(scope="session")
def played_by_greenlets(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All profiles, one after the other, against one thread with greenlets."""
    folder, made = once(tmp_path_factory, "played-gevent", lambda folder: play(folder, *GEVENT))
    return Played(folder / "artifacts", made["printed"], made["rows"])


@pytest.fixture(scope="session")
def played_at_once_by_greenlets(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All profiles concurrently, against one thread with greenlets."""
    options = (*GEVENT, "--concurrency", str(len(Example.find().slugs)))
    folder, made = once(tmp_path_factory, "played-gevent-at-once", lambda folder: play(folder, *options))
    return Played(folder / "artifacts", made["printed"], made["rows"])


@pytest.fixture(scope="session")
def coverage_reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The functions and lines that coverage.py finds when it runs alone."""
    _, made = once(tmp_path_factory, "reference", lambda folder: reference.measure(folder, Example.find()))
    found: dict[str, Any] = made
    return found
