"""Requests beside each other on threads: each recording holds what its own request ran, and nothing else."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from pathlib import Path
from types import ModuleType

import pytest

from otel_coverage.settings import Granularity
from tests.recording.oracle import Oracle, Ran, Step
from tests.recording.recorder import ENGINES, MONITORING, Kind, Recorder, attempt, forget, imported

SHOP = Path(__file__).parent.parent / "data" / "programs" / "shop.py"
KINDS = ("browse", "order", "report", "stream", "manage", "fail")
THREADS = 8


pytestmark = pytest.mark.usefixtures("switching_all_the_time")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[ModuleType]:
    shutil.copy(SHOP, tmp_path)
    shutil.copy(SHOP, tmp_path / "late.py")
    with imported(tmp_path, "shop") as module:
        yield module


@pytest.fixture
def expected(shop: ModuleType, oracle: Oracle, tmp_path: Path) -> dict[str, Ran]:
    alone = oracle.ask(tmp_path, "shop", [Step(kind, "call", kind, (3,)) for kind in KINDS])
    assert len({ran.functions for ran in alone.values()}) == len(KINDS)
    return dict(alone)


def on_threads(work: Callable[[int], None], count: int = THREADS) -> None:
    """Run the work on that many threads at once; the first error of any of them is raised."""
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        work(number)

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(run, number) for number in range(count)]:
            future.result()


@pytest.mark.parametrize("granularity", ["line", "function"])
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_thousands_of_requests_of_six_kinds_on_eight_threads_are_all_exact(
    shop: ModuleType, expected: dict[str, Ran], engine: Kind, granularity: Granularity, tmp_path: Path
) -> None:
    wrong: list[tuple[str, dict[str, object]]] = []
    done = 0

    def serve(number: int) -> None:
        nonlocal done
        draw = random.Random(number)
        for _ in range(340):
            kind = draw.choice(KINDS)
            if draw.random() < 0.2:
                attempt(getattr(shop, kind), 3)  # an untraced request
                continue
            with recorder.recording() as recording:
                for _ in range(draw.randrange(3)):
                    time.sleep(0)  # others run, and switch off what this request is about to need
                attempt(getattr(shop, kind), 3)
            ran = Ran.of(recording.executed())
            done += 1
            if ran != recorder.expected(expected[kind]) or recording.incomplete:
                wrong.append((kind, ran.difference(recorder.expected(expected[kind]))))

    with Recorder(engine, tmp_path, granularity) as recorder:
        on_threads(serve)
    assert done >= 2_000
    assert wrong == []


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_recordings_that_idle_or_span_many_requests_disturb_no_other(
    shop: ModuleType, expected: dict[str, Ran], engine: Kind, tmp_path: Path
) -> None:
    wrong: list[object] = []

    def serve(number: int) -> None:
        draw = random.Random(number)
        for _ in range(12):
            kinds = draw.choices(KINDS, k=draw.randrange(4))
            with recorder.recording() as recording:
                for kind in kinds:
                    with recorder.under(None):
                        kind_of_others = draw.choice(KINDS)
                        inner = recorder.ran(getattr(shop, kind_of_others), 3)
                        if inner != expected[kind_of_others]:
                            wrong.append((kind_of_others, inner.difference(expected[kind_of_others])))
                    attempt(getattr(shop, kind), 3)
                time.sleep(draw.random() / 500)
            everything = Ran()
            for kind in kinds:
                everything |= expected[kind]
            ran = Ran.of(recording.executed())
            if ran != everything:
                wrong.append((kinds, ran.difference(everything)))

    with Recorder(engine, tmp_path) as recorder:
        on_threads(serve)
    assert wrong == []


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_code_that_every_thread_meets_for_the_first_time_at_once_is_exact(
    shop: ModuleType, expected: dict[str, Ran], engine: Kind, tmp_path: Path
) -> None:
    expected_late = {
        kind: Ran(
            frozenset(("late.py", *rest) for _path, *rest in ran.functions),  # type: ignore[misc]
            frozenset(("late.py", line) for _path, line in ran.lines),
        )
        for kind, ran in expected.items()
    }
    wrong: list[object] = []
    for _ in range(10):
        forget(tmp_path)
        with imported(tmp_path, "late") as late, Recorder(engine, tmp_path) as recorder:

            def serve(number: int, late: ModuleType = late, recorder: Recorder = recorder) -> None:
                kind = KINDS[number % len(KINDS)]
                for _ in range(3):
                    ran = recorder.ran(getattr(late, kind), 3)
                    if ran != expected_late[kind]:
                        wrong.append((kind, ran.difference(expected_late[kind])))

            on_threads(serve)
    assert wrong == []


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_a_recording_that_begins_while_another_thread_is_inside_the_same_function_sees_all_of_it(
    shop: ModuleType, expected: dict[str, Ran], engine: Kind, tmp_path: Path
) -> None:
    stop = threading.Event()
    with Recorder(engine, tmp_path) as recorder:

        def busy() -> None:
            while not stop.is_set():
                shop.report(3)

        def traced_and_busy() -> None:
            with recorder.recording():
                busy()

        threads = [threading.Thread(target=target) for target in (busy, traced_and_busy)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(60):
                for kind in ("report", "order"):
                    assert recorder.ran(getattr(shop, kind), 3).difference(expected[kind]) == {}
        finally:
            stop.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_one_recording_may_run_on_many_threads(
    shop: ModuleType, expected: dict[str, Ran], engine: Kind, tmp_path: Path
) -> None:
    everything = Ran()
    for ran in expected.values():
        everything |= ran
    with Recorder(engine, tmp_path) as recorder:
        for _ in range(20):
            with recorder.recording() as recording:
                with recorder.under(None):
                    for kind in KINDS:
                        recorder.ran(getattr(shop, kind), 3)  # switches off the lines of what it has not entered yet
                contexts = [copy_context() for _ in range(THREADS)]

                def part(number: int, contexts: list[Context] = contexts) -> None:
                    contexts[number].run(attempt, getattr(shop, KINDS[number % len(KINDS)]), 3)

                with recorder.under(None):
                    on_threads(part)
            assert Ran.of(recording.executed()).difference(everything) == {}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_untraced_requests_beside_traced_ones_leave_no_trace(
    shop: ModuleType, expected: dict[str, Ran], engine: Kind, tmp_path: Path
) -> None:
    stop = threading.Event()

    def untraced() -> None:
        while not stop.is_set():
            for kind in KINDS:
                attempt(getattr(shop, kind), 3)

    thread = threading.Thread(target=untraced)
    thread.start()
    try:
        with Recorder(engine, tmp_path) as recorder:
            for _ in range(20):
                assert recorder.ran(shop.browse, 3).difference(expected["browse"]) == {}
                assert recorder.ran(len, "nothing of ours") == Ran()
    finally:
        stop.set()
        thread.join()
