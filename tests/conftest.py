"""Which tests run on which interpreter, and what fails a session: skipped tests, rows that did not run, leftovers.

Fixtures that import much and serve few folders are in those folders' conftest.py. That of stores is here: all tests of
a process share one engine.
"""

from __future__ import annotations

import sys

import pytest

pytest_plugins = ["tests.support.leftovers", "tests.support.rows", "tests.support.store"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail the session when any test was skipped")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, rather than skip, what this interpreter cannot run by its version."""
    here = sys.version_info[:2]
    selected: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        fits = all(here >= mark.args for mark in item.iter_markers("since")) and all(
            here <= mark.args for mark in item.iter_markers("until")
        )
        (selected if fits else deselected).append(item)
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = selected


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With ``--no-skips`` a skipped test is a failure: everything the suite needs comes with the ``test`` extra."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--no-skips") or reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and exitstatus == 0:
        for report in skipped:
            reporter.write_line(f"skipped, which --no-skips does not allow: {report.nodeid}", red=True)
        session.exitstatus = 1
