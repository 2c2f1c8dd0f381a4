"""Programs and interleavings drawn at random, compared with coverage.py."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.recording.oracle import Oracle, Step
from tests.recording.programs import Program, interleavings, programs, requests
from tests.recording.recorder import ENGINES, MONITORING, Kind, Recorder, imported
from tests.recording.test_resumed_code import play

drawn = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@contextmanager
def loaded(program: Program) -> Iterator[tuple[Path, ModuleType]]:
    with tempfile.TemporaryDirectory() as folder:
        real = Path(folder).resolve()
        (real / "drawn.py").write_text(program.text)
        with imported(real, "drawn") as module:
            yield real, module


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@given(data=st.data())
@drawn
def test_drawn_requests_on_threads_are_exact(engine: Kind, oracle: Oracle, data: st.DataObject) -> None:
    program = data.draw(programs().filter(lambda program: "function" in program.functions.values()))
    asked = data.draw(requests(program))
    before = sys.getswitchinterval()
    with loaded(program) as (folder, module):
        steps = [Step(f"{name} {number}", "call", name, (number,)) for name, number in asked]
        expected = oracle.ask(folder, "drawn", steps)
        barrier = threading.Barrier(4)
        with Recorder(engine, folder) as recorder:

            def serve(first: int) -> None:
                barrier.wait()
                for turn in range(3 * len(asked)):
                    name, number = asked[(first + turn) % len(asked)]
                    ran = recorder.ran(getattr(module, name), number)
                    assert ran.difference(expected[f"{name} {number}"]) == {}, (name, number)

            sys.setswitchinterval(1e-6)
            try:
                with ThreadPoolExecutor(4) as pool:
                    for future in [pool.submit(serve, first) for first in range(4)]:
                        future.result()
            finally:
                sys.setswitchinterval(before)


@pytest.mark.parametrize("engine", MONITORING, ids=str)
@given(data=st.data())
@drawn
def test_drawn_interleavings_of_recordings_are_exact(engine: Kind, oracle: Oracle, data: st.DataObject) -> None:
    program = data.draw(programs())
    steps = data.draw(interleavings(program))
    with loaded(program) as (folder, module):
        expected = oracle.ask(folder, "drawn", steps)
        with Recorder(engine, folder) as recorder:
            for _ in range(2):
                for context, ran in play(recorder, module, steps).items():
                    note(f"context {context!r}")
                    assert ran.difference(expected[context]) == {}
