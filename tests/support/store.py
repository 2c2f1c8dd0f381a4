"""Real stores: databases in one embedded engine a process, which is all that chDB allows."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_coverage.store import Store, open_store, schema

_numbers = itertools.count(1)

_NAMES = "SELECT name FROM system.tables WHERE database = currentDatabase()"
_APPLIED = "SELECT groupArray((name, digest)) FROM (SELECT name, digest FROM coverage_schema ORDER BY name, digest)"
_FILLED = """
SELECT DISTINCT table FROM system.parts
WHERE database = currentDatabase() AND active AND table != 'coverage_schema'
"""


class AppliedDatabase:
    """A database with the schema applied, which tests use one after the other.

    It is emptied after each, and replaced after one that changed tables, views or the record of what was applied.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store: Store | None = None
        self._shape: object = None

    def dsn(self) -> str:
        """Its address; it is empty."""
        if self._store is None:
            self._store = open_store(_unused(self._folder), create=True)
            schema.apply(self._store)
            self._shape = self._read_shape()
        return str(self._store.dsn)

    def empty(self) -> None:
        """Empty its tables, or drop it where it is not as `schema apply` makes it."""
        if self._store is None:
            return
        if self._read_shape() == self._shape:
            for (table,) in self._store.query(_FILLED).rows:
                self._store.command(f"TRUNCATE TABLE {table} SYNC")
        else:
            self.drop()

    def drop(self) -> None:
        """Drop it; the next test gets another."""
        if self._store is not None:
            self._store.command(f"DROP DATABASE IF EXISTS {self._store.database} SYNC")
            self._store.close()
            self._store = None

    def _read_shape(self) -> object:
        """Tables and views, when the engine wrote the definition of each, and what was applied."""
        assert self._store is not None
        names = sorted(name for (name,) in self._store.query(_NAMES).rows)
        # system.tables has definitions too, but takes ten times as long to render them
        folder = self._folder / "metadata" / self._store.database
        written = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} if names else {}
        return names, written, self._store.query(_APPLIED).rows if "coverage_schema" in names else None


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of this process's engine, which stays open as long as the process."""
    folder = tmp_path_factory.mktemp("chdb")
    with open_store(f"chdb://{folder}", create=True):
        yield folder


@pytest.fixture(scope="session")
def _applied_database(store_folder: Path) -> Iterator[AppliedDatabase]:
    database = AppliedDatabase(store_folder)
    yield database
    database.drop()


@pytest.fixture
def empty_store_dsn(store_folder: Path) -> Iterator[str]:
    """The address of a new database that nothing was applied to; in use by this process."""
    dsn = _unused(store_folder)
    with open_store(dsn, create=True) as store:
        yield dsn
        store.command(f"DROP DATABASE {store.database} SYNC")


@pytest.fixture
def store_dsn(_applied_database: AppliedDatabase) -> Iterator[str]:
    """The address of an empty store with the schema applied; in use by this process, so no other can open it."""
    yield _applied_database.dsn()
    _applied_database.empty()


@pytest.fixture
def store(store_dsn: str) -> Iterator[Store]:
    """An empty store with the schema applied."""
    with open_store(store_dsn) as opened:
        yield opened


def _unused(folder: Path) -> str:
    return f"chdb://{folder}?database=test_{os.getpid()}_{next(_numbers)}"
