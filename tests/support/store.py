"""A real store for each test: a fresh database in one embedded engine a process, which is all that chDB allows."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_coverage.store import Store, open_store, schema

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of this process's engine, kept open so that tests need not start it again and again."""
    folder = tmp_path_factory.mktemp("chdb")
    with open_store(f"chdb://{folder}", create=True):
        yield folder


@pytest.fixture
def empty_store_dsn(store_folder: Path) -> Iterator[str]:
    """The address of a database that nothing was applied to; in use by this process."""
    dsn = f"chdb://{store_folder}?database=test_{os.getpid()}_{next(_numbers)}"
    with open_store(dsn, create=True) as store:
        yield dsn
        store.command(f"DROP DATABASE {store.database} SYNC")


@pytest.fixture
def store_dsn(empty_store_dsn: str) -> str:
    """The address of a fresh database with the schema applied; in use by this process, so no other can open it."""
    with open_store(empty_store_dsn) as store:
        schema.apply(store)
    return empty_store_dsn


@pytest.fixture
def store(store_dsn: str) -> Iterator[Store]:
    """A fresh store with the schema applied."""
    with open_store(store_dsn) as opened:
        yield opened
