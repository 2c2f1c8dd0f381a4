"""The oracle, once a worker; recorders and programs, once a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.recording.oracle import Oracle


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """coverage.py alone, in a process of its own."""
    with Oracle() as oracle:
        yield oracle
