"""What a forked child begins anew: what it uses, when it first does."""

from __future__ import annotations

import os
import threading

from otel_coverage.tracing.forks import ProcessState


class Counted(ProcessState):
    """Counts in how many processes it began."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.lock = threading.Lock()
        self._check_process()

    def _begin_process(self) -> None:
        self.begun.append(os.getpid())
        self.lock = threading.Lock()

    def use(self) -> None:
        self._check_process()
        with self.lock:
            pass


def child_of(counted: Counted) -> list[bool]:
    """Whether it has begun in a forked child: at first, and after eight threads have used it at once."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            answers = [os.getpid() in counted.begun]
            barrier = threading.Barrier(8)

            def use() -> None:
                barrier.wait()
                counted.use()

            threads = [threading.Thread(target=use) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            answers.append(counted.begun.count(os.getpid()) == 1)
            os.write(writer, bytes(answers))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answers = [bool(byte) for byte in pipe.read()]
    os.waitpid(child, 0)
    return answers


def test_a_child_begins_anew_when_it_first_uses_something_and_once_whoever_uses_it() -> None:
    assert child_of(Counted()) == [False, True]


def test_a_lock_that_a_thread_held_at_the_fork_does_not_block_the_child() -> None:
    counted = Counted()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with counted.lock:
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        assert child_of(counted) == [False, True]
    finally:
        release.set()
        thread.join()
