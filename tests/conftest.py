"""Which tests run on which versions, and that none is skipped unnoticed."""

from __future__ import annotations

import pytest

from tests.support.versions import runs_here

# Fixtures that import much and serve few folders are in those folders' conftest.py. Those of stores are here, as all
# tests of a process share one engine.
pytest_plugins = ["tests.support.leftovers", "tests.support.rows", "tests.support.store"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail the session when any test was skipped")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, rather than skip, what is for other versions of CPython or RQ."""
    left_out = [item for item in items if not runs_here(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if runs_here(item)]


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
