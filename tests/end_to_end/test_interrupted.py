"""The demo leaves no process and no temporary file behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.end_to_end.played import environment
from tests.support.processes import processes_with

MARK = "DEMO_MARK"
PATIENCE = 120.0


def marked(mark: str) -> set[int]:
    """The ids of the demo's processes and their descendants: those with the mark in their environment."""
    return {process.pid for process in processes_with(MARK, mark)}


def wait_until_gone(mark: str) -> set[int]:
    """Wait for marked processes to exit; returns those left after ``PATIENCE``."""
    deadline = time.monotonic() + PATIENCE
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@contextmanager
def running_demo(folder: Path, mark: str) -> Iterator[subprocess.Popen[str]]:
    """A demo that has finished its first profile."""
    command = [sys.executable, "-m", "otel_coverage", "demo", "--out", "artifacts"]
    env = environment(**{MARK: mark, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"})
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            assert any("passed" in line for line in process.stdout), process.communicate()[1]
            assert len(marked(mark)) > 4  # itself, Redis, the collector, gunicorn and its worker, rq
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_stops_its_processes(tmp_path: Path, number: signal.Signals) -> None:
    mark = uuid.uuid4().hex
    with running_demo(tmp_path, mark) as process:
        process.send_signal(number)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode not in (0, 2)
    assert "Traceback" not in stderr
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "otel-coverage: interrupted: its processes were stopped; " in stderr
    assert wait_until_gone(mark) == set()
    assert list(tmp_path.iterdir()) == []  # no partial artifacts, no temporary folder


def test_the_processes_of_a_killed_demo_end(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with running_demo(tmp_path, mark) as process:
        process.kill()
    assert wait_until_gone(mark) == set()  # who sends the spool included


def test_a_killed_process_ends_the_demo_with_the_reason(tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    with running_demo(tmp_path, mark) as process:
        for pid in marked(mark):
            with suppress(OSError):  # it exited meanwhile
                if b"collect" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    os.kill(pid, signal.SIGKILL)
        _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "otel-coverage: collector ended early, exit code -9" in stderr
    assert wait_until_gone(mark) == set()
    assert not (tmp_path / "artifacts").exists()
    logs = {path.stem for path in (tmp_path / "artifacts-logs").iterdir()}
    assert logs >= {"redis", "collector", "gunicorn", "worker", "playback"}
