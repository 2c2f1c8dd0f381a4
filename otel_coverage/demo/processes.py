"""Supervised child processes: started in order, watched while they run, and stopped in every case."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from otel_coverage.errors import OtelCoverageError
from otel_coverage.signals import delayed

if TYPE_CHECKING:
    from typing_extensions import Self

TAIL = 15  # lines
_POLL_INTERVAL = 0.02  # seconds
_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # no child is started unrecorded, or left running


class ProcessError(OtelCoverageError):
    """A process failed, or ended when it should not.

    Attributes:
        tail: the end of its log.
    """

    exit_code = 1

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.tail = tail


@dataclass(frozen=True, slots=True)
class Child:
    """A started process, and the file with its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        """Whether it has not exited."""
        # An exception of a handler in the middle of `poll` would leave its lock taken: the process would never be seen
        # to exit, and whoever stops it would wait for ever.
        with delayed(*_STOP_SIGNALS):
            return self.process.poll() is None

    def tail(self, lines: int = TAIL) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def check(self) -> None:
        """Check that it still runs.

        Raises:
            ProcessError: it exited.
        """
        if not self.running:
            raise ProcessError(f"{self.name} ended early, exit code {self.process.returncode}", self.tail())

    def wait_for(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait until a line of its log matches.

        Raises:
            ProcessError: it exited before, or ``timeout`` seconds passed.
        """
        deadline = time.monotonic() + timeout
        while True:
            alive = self.running  # read before the log: the output just before its exit counts
            found = re.search(pattern, self.log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            if found:
                return found
            if not alive:
                self.check()
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} was not ready after {timeout:g} s", self.tail())
            time.sleep(_POLL_INTERVAL)


class Supervisor:
    """Starts processes, each in its own group, and stops all of them in reverse order.

    Args:
        folder: their working directory, with their logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[Child] = []
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with delayed(*_STOP_SIGNALS):
            for child in reversed(self.children):
                self.stop(child)

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Child:
        """Start a process; its output goes to ``<name>.log``.

        Raises:
            ProcessError: it cannot be executed.
        """
        path = self.folder / f"{name}.log"
        with delayed(*_STOP_SIGNALS), path.open("wb") as log:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    cwd=self.folder,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
            except OSError as error:
                raise ProcessError(f"{name} cannot be started: {error}") from error
            child = Child(name, process, path)
            self.children.append(child)
        return child

    def run(self, name: str, command: Sequence[str], env: Mapping[str, str], timeout: float) -> Child:
        """Run a process until it exits, and watch the others meanwhile.

        Raises:
            ProcessError: it failed or timed out, or another process exited.
        """
        child = self.start(name, command, env)
        for _ in self.while_running(child, timeout):
            pass
        if child.process.returncode:
            raise ProcessError(f"{name} failed, exit code {child.process.returncode}", child.tail())
        return child

    def while_running(self, child: Child, timeout: float) -> Iterator[None]:
        """Yield now and again until a process exits, and watch the others meanwhile.

        Raises:
            ProcessError: it timed out, or another process exited.
        """
        deadline = time.monotonic() + timeout
        while child.running:
            self.check(except_for=child)
            if time.monotonic() > deadline:
                self.stop(child)
                raise ProcessError(f"{child.name} was not done after {timeout:g} s", child.tail())
            yield
            time.sleep(_POLL_INTERVAL)
        self.children.remove(child)

    def check(self, except_for: Child | None = None) -> None:
        """Check that all processes still run.

        Raises:
            ProcessError: one exited.
        """
        for child in self.children:
            if child is not except_for:
                child.check()

    def stop(self, child: Child, grace: float = 15.0) -> int:
        """Send SIGTERM twice, then SIGKILL to the process group; returns the exit code."""
        with delayed(*_STOP_SIGNALS):
            if child in self.children:
                self.children.remove(child)
            for patience in (grace, 3.0):  # rq finishes its job on the first signal, and drops it on the second
                if child.running:
                    with contextlib.suppress(ProcessLookupError):
                        child.process.terminate()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        child.process.wait(patience)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.process.pid, signal.SIGKILL)
            return child.process.wait()


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise SystemExit on SIGTERM and SIGHUP, so that context managers stop what they started."""

    def exit_(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, exit_) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parent_death_signal() -> Callable[[], None] | None:
    """A function to call between fork and exec: the kernel then terminates the child when its parent dies."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_die_with_parent = _parent_death_signal()
