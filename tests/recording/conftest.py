"""The oracle, once a worker; recorders and programs, once a test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.recording.oracle import Oracle


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """coverage.py alone, in a process of its own."""
    with Oracle() as oracle:
        yield oracle


@pytest.fixture
def switching_all_the_time() -> Iterator[None]:
    """Threads take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
