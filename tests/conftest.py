"""Which tests run on which versions, and that none is skipped unnoticed."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from otel_coverage.demo.folder import TemporaryFolder
from tests.support.versions import runs_here

# Fixtures that import much and serve few folders are in those folders' conftest.py. Those of stores are here, as all
# tests of a process share one engine.
pytest_plugins = ["tests.support.leftovers", "tests.support.rows", "tests.support.store"]

_SPOOLS = ("spool", "state", "otel-coverage")  # where tests have them in `tmp_path`

# how long an example takes says what else the machine does
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

for _name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI"):  # commands print otherwise where these are set
    os.environ.pop(_name, None)


@pytest.fixture(scope="session", autouse=True)
def cache_home() -> Iterator[None]:
    """Caches of commands go where they are gone afterwards, not to whoever runs the tests."""
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory(prefix="cache-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        yield
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True)
def state_home(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A spool of its own for each test; a process that still sends it, or one in ``tmp_path``, ends when it is gone."""
    with TemporaryFolder(prefix="state-") as folder:
        monkeypatch.setenv("XDG_STATE_HOME", folder)
        yield Path(folder)
    of_test = request.node.funcargs.get("tmp_path")
    for name in _SPOOLS if of_test is not None else ():
        shutil.rmtree(of_test / name, ignore_errors=True)


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """What ends the tests themselves ends the next one, too: a worker of RQ keeps its handlers when it is done."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


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
