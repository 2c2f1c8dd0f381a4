from __future__ import annotations

import pytest

from tests.end_to_end.conftest import played, two_nights_store

__all__ = ["played", "two_nights_store"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(1800))  # the first one runs the demo, and asks two engines
