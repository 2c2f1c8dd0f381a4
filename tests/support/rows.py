"""The rows of docs/boundaries.md: each is shown by a test that is marked with it, and has to run.

``@pytest.mark.row("RQ job", "retry")`` marks the test of one row. Of a parametrized test each parameter set is a row,
named by its id, after the second argument if there is one. A row that the page lists and that did not run (left out,
renamed or skipped) fails a run of the whole suite by its name, and so does one that the page does not list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.versions import runs_here

PAGE = Path(__file__).parent.parent.parent / "docs" / "boundaries.md"

Row = tuple[str, str]  # group and name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows",
        metavar="GROUP",
        action="append",
        default=[],
        help="fail unless every row of that group ran; repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Check(config), "rows")


def documented_rows(page: str) -> Iterator[Row]:
    """The rows in the table below "What the suite runs", a group a line, its rows between semicolons."""
    table = page.partition("\n## What the suite runs\n")[2].partition("\n## ")[0]
    for group, names in re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)[1:]:
        for name in names.split(";"):
            yield group, name.strip()


def rows_of(item: pytest.Item) -> Iterator[Row]:
    """The rows that a test shows."""
    callspec = getattr(item, "callspec", None)
    for mark in item.iter_markers("row"):
        group, *names = mark.args
        yield group, ", ".join([*names, *([] if callspec is None else [callspec.id])])


def problems(documented: list[Row], tests: Mapping[Row, bool], ran: set[Row]) -> Iterator[str]:
    """What is wrong with the rows, a line for each.

    Args:
        documented: the rows that the page lists.
        tests: the rows that tests are marked with, and whether one of these is for the versions here.
        ran: the rows of the tests that ran.
    """
    for row in documented:
        if row not in tests:
            yield f"row without a test: {': '.join(row)}"
        elif row not in ran and tests[row]:
            yield f"row did not run: {': '.join(row)}"
    for row in sorted(tests.keys() - set(documented)):
        yield f"row is not in docs/{PAGE.name}: {': '.join(row)}"


class _Check:
    """Collects the rows of all tests, from the processes of pytest-xdist too, and decides at the end of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tests: dict[Row, bool] = {}
        self._ran: set[Row] = set()

    @pytest.hookimpl(tryfirst=True)  # before anything is deselected
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for row in rows_of(item):
                item.user_properties.append(("row", row))
                self._tests[row] = self._tests.get(row, False) or runs_here(item)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker that crashed has told nothing."""
        self._tests.update(
            ((group, name), here) for group, name, here in getattr(node, "workeroutput", {}).get("rows", ())
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not report.skipped:
            self._ran.update((row[0], row[1]) for name, row in report.user_properties if name == "row")  # type: ignore[index]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self._config, "workeroutput"):  # a process of pytest-xdist reports to the one that started it
            self._config.workeroutput["rows"] = [(*row, here) for row, here in self._tests.items()]
            return
        groups = self._config.getoption("--rows")
        if not groups and not (self._config.getoption("--no-skips") and self._is_whole_suite()):
            return
        documented = [
            row for row in documented_rows(PAGE.read_text(encoding="utf-8")) if not groups or row[0] in groups
        ]
        tests = {row: here for row, here in self._tests.items() if not groups or row[0] in groups}
        found = [f"no such group of rows: {group}" for group in groups if group not in dict(documented)]
        found += problems(documented, tests, self._ran)
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if found and reporter is not None:
            reporter.write_line("")  # ends the line of dots
            for line in found:
                reporter.write_line(line, red=True)
        if found and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_whole_suite(self) -> bool:
        option = self._config.option
        return (
            self._config.args_source is pytest.Config.ArgsSource.TESTPATHS
            and not option.keyword
            and not option.markexpr
            and not getattr(option, "collectonly", False)
        )
