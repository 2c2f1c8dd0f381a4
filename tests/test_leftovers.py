"""The check that fails a session which leaves processes behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEAVES = """
import subprocess, sys
def test_it():
    program = "import time; print(flush=True); time.sleep({seconds})"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    process.stdout.readline()
"""


def run(folder: Path, seconds: float, patience: float, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(LEAVES.format(seconds=seconds))
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.leftovers", "--rootdir", ".", *options]
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "TEST_SESSION_PATIENCE": str(patience),
    }
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "1")], ids=["alone", "xdist"])
def test_a_process_that_outlives_the_session_fails_it_and_is_named_with_its_test(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = run(tmp_path, 600, 0.5, *options)
    (line,) = (line for line in done.stdout.splitlines() if " is still running: " in line)
    os.kill(int(line.split()[1]), signal.SIGKILL)
    assert "time.sleep(600)" in line
    assert "test_it.py::test_it" in line
    assert done.returncode == 1


def test_a_process_that_ends_a_moment_later_fails_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, 1, 30)
    assert done.returncode == 0, done.stdout
