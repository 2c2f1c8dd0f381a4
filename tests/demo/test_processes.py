"""The supervisor of a demo's processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.demo.processes import Child, ProcessError, Supervisor, ended_by_signals

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM", flush=True))
print("ready", flush=True)
while True: time.sleep(0.05)
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
child.wait()
"""
SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "processes") as opened:
        yield opened


def start(supervisor: Supervisor, name: str, program: str) -> Child:
    return supervisor.start(name, [sys.executable, "-c", program], os.environ)


def exists(pid: int) -> bool:
    """Whether there is such a process, other than a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_output_is_logged_and_can_be_waited_for(supervisor: Supervisor) -> None:
    child = start(supervisor, "teller", "print('port 4711', flush=True); import time; time.sleep(600)")
    assert child.wait_for(r"port (\d+)", 30)[1] == "4711"
    assert (supervisor.folder / "teller.log").read_text() == "port 4711\n"


def test_the_last_started_process_is_stopped_first(tmp_path: Path) -> None:
    farewell = f"""
import signal, sys, time, pathlib
def leave(*_):
    with open({str(tmp_path / "order")!r}, "a") as order: order.write(sys.argv[1] + " ")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
while True: time.sleep(0.05)
"""
    with Supervisor(tmp_path / "processes") as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start(name, [sys.executable, "-c", farewell, name], os.environ).wait_for("ready", 30)
    assert (tmp_path / "order").read_text() == "third second first "


def test_all_processes_are_stopped_after_an_exception(tmp_path: Path) -> None:
    children = []

    def interrupted() -> None:
        with Supervisor(tmp_path / "processes") as supervisor:
            children.append(start(supervisor, "sleeper", SLEEPER))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not exists(children[0].process.pid)


def test_a_process_that_ignores_sigterm_twice_is_killed(supervisor: Supervisor) -> None:
    child = start(supervisor, "stubborn", STUBBORN)
    child.wait_for("ready", 30)
    assert supervisor.stop(child, grace=2.0) == -signal.SIGKILL
    assert child.log.read_text() == "ready\nSIGTERM\nSIGTERM\n"


def test_the_children_of_a_process_are_killed_with_it(supervisor: Supervisor) -> None:
    child = start(supervisor, "parent", PARENT)
    grandchild = int(child.wait_for(r"child (\d+)", 30)[1])
    assert exists(grandchild)
    supervisor.stop(child)
    deadline = time.monotonic() + 30
    while exists(grandchild) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not exists(grandchild)


def test_a_process_that_ends_early_is_reported_with_the_end_of_its_log(supervisor: Supervisor) -> None:
    child = start(supervisor, "hasty", "import sys; [print('line', n) for n in range(40)]; sys.exit('no luck')")
    with pytest.raises(ProcessError, match="hasty ended early, exit code 1") as caught:
        child.wait_for("ready", 30)
    assert caught.value.tail.splitlines() == [*(f"line {number}" for number in range(26, 40)), "no luck"]


def test_a_process_that_is_not_ready_in_time_is_reported(supervisor: Supervisor) -> None:
    child = start(supervisor, "silent", "import time; time.sleep(600)")
    with pytest.raises(ProcessError, match=r"silent was not ready after 0\.1 s"):
        child.wait_for("ready", 0.1)


def test_the_error_for_a_missing_program_names_it(supervisor: Supervisor) -> None:
    with pytest.raises(ProcessError, match=r"ghost cannot be started: .*no-such-program"):
        supervisor.start("ghost", ["no-such-program"], os.environ)


def test_a_command_is_run_until_it_exits(supervisor: Supervisor) -> None:
    command = [sys.executable, "-c", "print('done')"]
    assert supervisor.run("worker", command, os.environ, 30).log.read_text() == "done\n"


def test_a_failed_command_is_reported_with_the_end_of_its_log(supervisor: Supervisor) -> None:
    with pytest.raises(ProcessError, match="worker failed, exit code 3") as caught:
        supervisor.run("worker", [sys.executable, "-c", "print('hm'); raise SystemExit(3)"], os.environ, 30)
    assert caught.value.tail == "hm"


def test_a_command_is_aborted_when_another_process_ends(supervisor: Supervisor) -> None:
    start(supervisor, "base", "import time; time.sleep(0.3)")
    with pytest.raises(ProcessError, match="base ended early, exit code 0"):
        supervisor.run("worker", [sys.executable, "-c", SLEEPER], os.environ, 30)


def test_a_command_that_times_out_is_stopped(supervisor: Supervisor) -> None:
    with pytest.raises(ProcessError, match=r"worker was not done after 0\.2 s"):
        supervisor.run("worker", [sys.executable, "-c", SLEEPER], os.environ, 0.2)
    assert supervisor.children == []


class InterruptedLock:
    """A lock; just after it was taken for the first time, a signal comes, whose handler raises an exception."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._interrupts = iter([signal.SIGINT])

    def acquire(self, blocking: bool = True) -> bool:
        taken: bool = self._lock.acquire(blocking)
        for number in self._interrupts:
            signal.raise_signal(number)
        return taken

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()

    def release(self) -> None:
        self._lock.release()


def test_a_process_is_stopped_though_ctrl_c_came_just_while_it_was_asked_whether_it_runs(tmp_path: Path) -> None:
    children = []

    def interrupted() -> None:
        with Supervisor(tmp_path / "processes") as supervisor:
            children.append(start(supervisor, "sleeper", SLEEPER))
            children[0].process._waitpid_lock = InterruptedLock(children[0].process._waitpid_lock)  # type: ignore[attr-defined]
            supervisor.check()
            pytest.fail("nothing was interrupted")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert children[0].process.returncode == -signal.SIGTERM


def test_ctrl_c_while_one_process_is_stopped_leaves_none_running(supervisor: Supervisor) -> None:
    interrupting = f"""
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (os.kill({os.getpid()}, signal.SIGINT), time.sleep(0.2), os._exit(0)))
print("ready", flush=True)
while True: time.sleep(0.05)
"""
    child = start(supervisor, "interrupting", interrupting)
    child.wait_for("ready", 30)
    with pytest.raises(KeyboardInterrupt):
        supervisor.stop(child)
    assert child.process.returncode == 0


def test_sigterm_raises_system_exit_and_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_ignored_sighup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_while_processes_are_stopped_is_delayed(tmp_path: Path) -> None:
    interrupting = f"""
import os, signal, sys, time
def leave(*_):
    os.kill({os.getpid()}, signal.SIGINT)
    time.sleep(0.2)
    print("left", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
while True: time.sleep(0.05)
"""
    children = []

    def stopped() -> None:
        with Supervisor(tmp_path / "processes") as supervisor:
            children.append(start(supervisor, "sleeper", SLEEPER))
            children.append(start(supervisor, "interrupting", interrupting))
            children[1].wait_for("ready", 30)

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert children[1].log.read_text() == "ready\nleft\n"
    assert not exists(children[0].process.pid)
