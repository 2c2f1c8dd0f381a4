from __future__ import annotations

from pathlib import Path

import pytest

from otel_coverage.source import SourceTree
from tests.reporting.project import make_project


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    return make_project(tmp_path / "project")
