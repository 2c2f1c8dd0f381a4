"""Child processes that are started in order, watched while they run, and gone in the end, whatever happens."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from otel_coverage.errors import OtelCoverageError

TAIL = 15
_PAUSE = 0.02
_PR_SET_PDEATHSIG = 1
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessError(OtelCoverageError):
    """A process did not do what it was started for.

    Attributes:
        tail: the end of its log.
    """

    exit_code = 1

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.tail = tail


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started, and the file that takes whatever it prints."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def tail(self, lines: int = TAIL) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            ProcessError: it ended.
        """
        if not self.running:
            raise ProcessError(f"{self.name} ended early, exit code {self.process.returncode}", self.tail())

    def wait_for(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait until its log holds a line that matches.

        Raises:
            ProcessError: it ended before, or took longer.
        """
        deadline = time.monotonic() + timeout
        while True:
            alive = self.running  # looked at first: what it printed just before its end counts
            found = re.search(pattern, self.log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            if found:
                return found
            if not alive:
                self.check()
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} was not ready after {timeout:g} s", self.tail())
            time.sleep(_PAUSE)


class Supervisor:
    """Starts processes, each in a group of its own, and stops them all in reverse order.

    Args:
        folder: where they run and leave their logs.
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
        with _undisturbed():
            for child in reversed(self.children):
                self.stop(child)

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> Child:
        """Start a process; its output goes to ``<name>.log``.

        Raises:
            ProcessError: there is no such program.
        """
        path = self.folder / f"{name}.log"
        with _undisturbed(), path.open("wb") as log:
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
        """Start a process, wait for its end, and watch the others meanwhile.

        Raises:
            ProcessError: it failed or took longer, or one of the others ended.
        """
        child = self.start(name, command, env)
        for _ in self.while_running(child, timeout):
            time.sleep(_PAUSE)
        if child.process.returncode:
            raise ProcessError(f"{name} failed, exit code {child.process.returncode}", child.tail())
        return child

    def while_running(self, child: Child, timeout: float) -> Iterator[None]:
        """Yield again and again until a process ends, watching the others.

        Raises:
            ProcessError: it took longer, or one of the others ended.
        """
        deadline = time.monotonic() + timeout
        while child.running:
            self.check(apart_from=child)
            if time.monotonic() > deadline:
                self.stop(child)
                raise ProcessError(f"{child.name} was not done after {timeout:g} s", child.tail())
            yield
        self.children.remove(child)

    def check(self, apart_from: Child | None = None) -> None:
        """Make sure that all processes still run.

        Raises:
            ProcessError: one ended.
        """
        for child in self.children:
            if child is not apart_from:
                child.check()

    def stop(self, child: Child, grace: float = 15.0) -> int:
        """Ask a process to end, twice, then make it and its group; returns its exit code."""
        if child in self.children:
            self.children.remove(child)
        for patience in (grace, 3.0):  # rq finishes its job when asked once, and drops it when asked again
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
    """Have SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that what was started is stopped."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    wanted = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off what would end this process: not between a child's start and its note, nor while all are stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread alone
        return
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, frame: received.append(number)) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _parent_death_signal() -> Callable[[], None] | None:
    """What a child calls, between fork and exec, so that the kernel ends it when its parent is killed."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_die_with_parent = _parent_death_signal()
