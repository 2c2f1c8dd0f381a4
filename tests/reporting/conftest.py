from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import Store, open_store, schema
from tests.reporting.project import fill, make_project


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    return make_project(tmp_path / "project")


@dataclass(frozen=True, slots=True)
class Reported:
    """The project's report, and what it was made from; for tests that change none of it."""

    store: Store
    tree: SourceTree
    report: Report


@pytest.fixture(scope="session")
def reported(store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    folder = tmp_path_factory.mktemp("reported")
    tree = make_project(folder / "project")
    with open_store(f"chdb://{store_folder}?database=reported_{os.getpid()}", create=True) as store:
        schema.apply(store)
        fill(store, tree)
        yield Reported(store, tree, write_report(select_revision(store), tree, folder / "out"))


@pytest.fixture
def report(reported: Reported) -> Report:
    return reported.report
