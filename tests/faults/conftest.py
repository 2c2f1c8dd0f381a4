"""How many seeds, and how long outages last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_coverage.demo.folder import TemporaryFolder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=20, help="random moments at which a process is killed (default 20)")
    parser.addoption(
        "--full-times", action="store_true", help="outages of 5, 25 and 60 seconds instead of a fifth of that"
    )


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> int:
    """The number of seeds."""
    return int(request.config.getoption("--seeds"))


@pytest.fixture
def scale(request: pytest.FixtureRequest) -> float:
    """What the times of outages are multiplied with."""
    return 1.0 if request.config.getoption("--full-times") else 0.2


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, as sockets may lie in it."""
    with TemporaryFolder(prefix="faults-") as path:
        yield Path(path)
