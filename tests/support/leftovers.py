"""Fails a session that leaves processes behind, and names the test that started each."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.processes import processes_with

_VARIABLE = "TEST_SESSION"  # inherited by xdist's workers and by what tests start
# seconds: a process that was sent SIGKILL, or whose parent ended, takes a moment
_PATIENCE = float(os.environ.get("TEST_SESSION_PATIENCE", "30"))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and Path("/proc/self/environ").exists():
        config.pluginmanager.register(_Check(), "leftovers")


class _Check:
    def __init__(self) -> None:
        self._session = uuid.uuid4().hex
        os.environ[_VARIABLE] = self._session

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        yield  # xdist's workers end in it
        deadline = time.monotonic() + _PATIENCE
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            for pid, line in left.items():
                reporter.write_line(f"process {pid} is still running: {line}", red=True)
        if left and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _left(self) -> dict[int, str]:
        """Processes of this session, each with its test and its command."""
        return {
            process.pid: f"{process.command} (started in {process.environ.get('PYTEST_CURRENT_TEST', 'no test')})"
            for process in processes_with(_VARIABLE, self._session)
        }
