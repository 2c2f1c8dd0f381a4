"""Fails a run of the whole suite in which a row of the matrix did not run: left out, renamed, or skipped somewhere."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import rq.version

FILE = Path(__file__).parent.parent / "rows.toml"

Version = tuple[int, ...]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows",
        metavar="GROUP",
        action="append",
        default=[],
        help="fail unless every row of that group ran; repeatable",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # xdist's workers report to the process that began
        config.pluginmanager.register(_Check(config), "rows")


def rows(
    groups: Sequence[Mapping[str, Any]], wanted: Container[str] | None, python: Version, of_rq: Version
) -> Iterator[tuple[str, str]]:
    """Name and test of each row that has to run here.

    Args:
        groups: as the file has them.
        wanted: names of groups; None for all.
        python: the version of CPython.
        of_rq: the version of RQ.
    """
    for group in groups:
        if (
            (wanted is None or group["name"] in wanted)
            and python >= _version(group.get("since", "0"))
            and python[:2] <= _version(group.get("until", "99"))
            and of_rq >= _version(group.get("rq", "0"))
        ):
            for name, test in group["rows"].items():
                yield f"{group['name']}: {name}", f"{group['file']}::{test}"


class _Check:
    """Hears of every test, and has the last word on the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._ran: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and not report.skipped:
            self._ran.add(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        wanted = self._config.getoption("--rows")
        if not wanted and not (self._config.getoption("--no-skips") and self._is_whole_suite()):
            return
        groups = tomllib.loads(FILE.read_text(encoding="utf-8"))["group"]
        here = rows(groups, wanted or None, sys.version_info[:2], _version(rq.version.VERSION))
        missing = [(name, test) for name, test in here if test not in self._ran]
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if missing and reporter is not None:
            reporter.write_line("")  # the dots have not ended theirs
            for name, test in missing:
                reporter.write_line(f"row did not run: {name} ({test})", red=True)
        if missing and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _is_whole_suite(self) -> bool:
        option = self._config.option
        return (
            self._config.args_source is pytest.Config.ArgsSource.TESTPATHS
            and not option.keyword
            and not option.markexpr
            and not getattr(option, "collectonly", False)
        )


def _version(text: str) -> Version:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdigit())
