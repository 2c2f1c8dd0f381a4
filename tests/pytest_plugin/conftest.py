from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.store import Store
from tests.pytest_plugin.project import Project
from tests.support.redis import redis, redis_socket, redis_url

__all__ = ["redis", "redis_socket", "redis_url"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A test suite without tests."""
    return Project.make(tmp_path)


@pytest.fixture
def collector(store: Store) -> Iterator[Collector]:
    """The collector of the test's store."""
    with Collector(Endpoint.parse("127.0.0.1:0")) as running:
        running.start(store)
        yield running
