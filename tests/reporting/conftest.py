from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from otel_coverage.reporting.changes.baseline import PREVIOUS, find_baseline
from otel_coverage.reporting.contents import Contents
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import Store, open_store, schema
from tests.reporting.nights import fill_both
from tests.reporting.project import fill, make_project


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    return make_project(tmp_path / "project")


@dataclass(frozen=True, slots=True)
class Reported:
    """The project's report, with all that it can have, and what it was made from; for tests that change none of it."""

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
        everything = Contents(html=True, formats=("lcov", "xml", "markdown"))
        report = write_report(select_revision(store), tree, folder / "out", contents=everything)
        yield Reported(store, tree, report)


@pytest.fixture
def report(reported: Reported) -> Report:
    return reported.report


@dataclass(frozen=True, slots=True)
class Compared:
    """The report about the later of two nights, compared with the earlier one; for tests that change none of it."""

    store: Store
    report: Report


@pytest.fixture(scope="session")
def compared(store_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    folder = tmp_path_factory.mktemp("compared")
    with open_store(f"chdb://{store_folder}?database=compared_{os.getpid()}", create=True) as store:
        schema.apply(store)
        tree = fill_both(store, folder)
        queries = select_revision(store)
        baseline = find_baseline(queries, PREVIOUS)
        yield Compared(store, write_report(queries, tree, folder / "out", baseline=baseline))
