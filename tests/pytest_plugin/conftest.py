from __future__ import annotations

from pathlib import Path

import pytest

from tests.pytest_plugin.project import Project
from tests.support.redis import redis, redis_url

__all__ = ["redis", "redis_url"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A test suite without tests."""
    return Project.make(tmp_path)
