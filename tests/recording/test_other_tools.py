"""Coverage tools, debuggers and profilers in the same process keep working, and so does the recorder."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import coverage
import pytest

from otel_coverage.recording.backend import PURE_PYTHON
from tests.recording.oracle import Oracle, Ran, Step
from tests.recording.recorder import COVERAGE, ENGINES, MONITORING, Kind, Recorder, TakenTools, imported

PROGRAM = """
def request(n):
    total = 0
    for number in range(n):
        total += helper(number)
    if n > 2:
        total = other(n)
    return total

def helper(n):
    return n

def other(n): return list(counting(n))

def counting(n):
    yield n
    yield n + 1
"""
SCRIPT = """
import json, sys
from contextvars import ContextVar
from otel_coverage.recording import CurrentRecording, open_engine
from otel_coverage.recording.callbacks import Callbacks
from otel_coverage.source import SourceTree
import neighbour

variable = ContextVar("recording", default=None)
Callbacks.restart_above = float(sys.argv[2])
engine = open_engine("monitoring", "line", SourceTree([sys.argv[1]]), CurrentRecording(variable))
found = []
for n in (1, 3, 1, 0, 3):
    recording = engine.begin()
    variable.set(recording)
    neighbour.request(n)
    variable.set(None)
    engine.end(recording)
    executed = recording.executed()
    found.append([sorted(f.qualname for f in executed.functions), sorted(executed.lines["neighbour.py"])])
neighbour.helper(1)
engine.close()
print(json.dumps(found))
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "neighbour.py").write_text(PROGRAM)
    with imported(tmp_path, "neighbour") as module:
        yield module


@pytest.fixture
def expected(program: ModuleType, oracle: Oracle, tmp_path: Path) -> dict[str, Ran]:
    return dict(oracle.ask(tmp_path, "neighbour", [Step(f"{n}", "call", "request", (n,)) for n in range(4)]))


@pytest.mark.since(3, 12)
@pytest.mark.parametrize(("backend", "restart_above"), [("python", "0"), ("python", "1e9"), ("c", "1e9")])
@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_under_coverage_run_both_find_what_they_find_alone(
    core: str, backend: str, restart_above: str, program: ModuleType, expected: dict[str, Ran], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    rcfile = tmp_path / "rcfile"
    rcfile.write_text(f"[run]\ncore = {core}\ndata_file = {tmp_path / 'data'}\ninclude = {tmp_path}/neighbour.py\n")
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={rcfile}", str(script), str(tmp_path), restart_above]
    environment = {**os.environ, PURE_PYTHON: "1" if backend == "python" else "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        [sorted(name for _, name, _ in ran.functions), sorted(line for _, line in ran.lines)]
        for ran in (expected["1"], expected["3"], expected["1"], expected["0"], expected["3"])
    ]
    data = coverage.CoverageData(str(tmp_path / "data"))
    data.read()
    definitions = {2, 10, 13, 15}
    assert set(data.lines(str(tmp_path / "neighbour.py")) or ()) == definitions | {
        line for ran in expected.values() for _, line in ran.lines
    }


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_a_debuggers_trace_function_sees_what_it_sees_without_us(
    program: ModuleType, expected: dict[str, Ran], engine: Kind, tmp_path: Path
) -> None:
    def traced() -> list[tuple[str, str, int]]:
        seen = []

        def trace(frame: FrameType, event: str, _argument: object) -> Any:
            if frame.f_code.co_filename == program.__file__:
                seen.append((event, frame.f_code.co_name, frame.f_lineno))
            return trace

        sys.settrace(trace)
        try:
            program.request(3)
        finally:
            sys.settrace(None)
        return seen

    alone = traced()
    with Recorder(engine, tmp_path) as recorder:
        for _ in range(3):
            with recorder.recording() as recording:
                assert traced() == alone
            assert Ran.of(recording.executed()).difference(expected["3"]) == {}


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_other_tools_of_sys_monitoring_count_what_they_count_without_us(
    program: ModuleType, expected: dict[str, Ran], engine: Kind, tmp_path: Path
) -> None:
    monitoring, tool = sys.monitoring, sys.monitoring.PROFILER_ID
    counts: list[tuple[str, int]] = []
    monitoring.use_tool_id(tool, "a counting neighbour")
    try:
        monitoring.register_callback(
            tool, monitoring.events.LINE, lambda code, line: counts.append((code.co_name, line))
        )
        monitoring.set_local_events(tool, program.request.__code__, monitoring.events.LINE)
        monitoring.set_local_events(tool, program.helper.__code__, monitoring.events.LINE)
        program.request(3)
        alone, counts[:] = list(counts), []
        with Recorder(engine, tmp_path) as recorder:
            for _ in range(3):
                assert recorder.ran(program.request, 3).difference(expected["3"]) == {}
                assert counts == alone
                counts.clear()
        program.request(3)
        assert counts == alone
    finally:
        monitoring.set_local_events(tool, program.request.__code__, 0)
        monitoring.set_local_events(tool, program.helper.__code__, 0)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.free_tool_id(tool)


@pytest.mark.since(3, 12)
def test_the_tool_ids_meant_for_others_stay_free(program: ModuleType, tmp_path: Path) -> None:
    with Recorder(Kind("monitoring"), tmp_path) as recorder:
        assert {sys.monitoring.get_tool(tool) for tool in range(6)} == {None}
        recorder.ran(program.request, 1)
        assert [sys.monitoring.get_tool(tool) for tool in range(6)] == [
            *(None, None, None),
            "otel-coverage discovery",
            "otel-coverage",
            None,
        ]
    assert {sys.monitoring.get_tool(tool) for tool in range(6)} == {None}


@pytest.mark.since(3, 12)
def test_without_a_free_tool_id_the_other_engine_records_and_the_recording_says_so(
    program: ModuleType, expected: dict[str, Ran], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Recorder(Kind("auto"), tmp_path) as recorder, TakenTools(leave=0), caplog.at_level(logging.ERROR):
        for n in (1, 3):
            with recorder.recording() as recording:
                program.request(n)
            assert recording.engine_name == "coverage"
            assert "no tool id" in str(recording.incomplete)
            assert Ran.of(recording.executed()).difference(expected[f"{n}"]) == {}
    assert [record.message.count("somebody else") for record in caplog.records] == [6]


@pytest.mark.since(3, 12)
def test_without_a_free_tool_id_engine_monitoring_alone_records_nothing_and_says_so(
    program: ModuleType, expected: dict[str, Ran], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Recorder(Kind("monitoring"), tmp_path) as recorder:
        with TakenTools(leave=0), caplog.at_level(logging.ERROR), recorder.recording() as recording:
            program.request(1)
        assert "no tool id" in str(recording.incomplete)
        assert not recording.executed()
        assert len(caplog.records) == 1
        assert recorder.ran(program.request, 1).difference(expected["1"]) == {}  # now that the ids are free again


def test_engine_coverage_leaves_a_debugger_alone_and_says_so(program: ModuleType, tmp_path: Path) -> None:
    lines = []

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line" and frame.f_code.co_filename == program.__file__:
            lines.append(frame.f_lineno)
        return trace

    with Recorder(COVERAGE, tmp_path) as recorder:
        sys.settrace(trace)
        try:
            with recorder.recording() as recording:
                program.request(0)
        finally:
            sys.settrace(None)
    assert "another trace function" in str(recording.incomplete)
    assert lines == [3, 4, 6, 8]


def test_engine_coverage_says_when_its_tracer_was_taken_away(program: ModuleType, tmp_path: Path) -> None:
    with Recorder(COVERAGE, tmp_path) as recorder:
        with recorder.recording() as recording:
            sys.settrace(None)
            program.request(1)
        assert recording.incomplete is not None
        assert recording.incomplete.reason == "tracer_replaced"


@pytest.mark.parametrize("other", [None, lambda *_: None], ids=["none", "another"])
def test_engine_coverage_says_when_its_tracer_was_taken_away_and_put_back(
    other: Any, program: ModuleType, expected: dict[str, Ran], tmp_path: Path
) -> None:
    """As code does that wants to run something unseen, or with a tracer of its own."""
    with Recorder(COVERAGE, tmp_path) as recorder:
        with recorder.recording() as recording:
            program.request(0)
            ours = sys.gettrace()
            sys.settrace(other)
            program.request(3)
            sys.settrace(ours)
        assert recording.incomplete is not None
        assert recording.incomplete.reason == "tracer_replaced"
        assert recorder.ran(program.request, 3).difference(expected["3"]) == {}  # the next one is whole


def test_engine_coverage_says_so_when_a_recording_inside_another_finds_its_tracer_taken_away(
    program: ModuleType, tmp_path: Path
) -> None:
    with Recorder(COVERAGE, tmp_path) as recorder:
        with recorder.recording() as outer:
            sys.settrace(None)
            program.request(1)
            with recorder.recording() as inner:
                program.request(1)
        assert (outer.incomplete is None, inner.incomplete is None) == (False, True)


def test_engine_coverage_says_when_its_tracer_was_taken_away_on_another_thread(
    program: ModuleType, tmp_path: Path
) -> None:
    with Recorder(COVERAGE, tmp_path) as recorder, recorder.recording() as recording:

        def work() -> None:
            with recorder.under(recording), recorder.engine.follow(recording):
                sys.settrace(None)
                program.request(1)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert recording.incomplete is not None
        assert recording.incomplete.reason == "tracer_replaced"


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_closing_an_engine_gives_everything_back(program: ModuleType, engine: Kind, tmp_path: Path) -> None:
    submit = ThreadPoolExecutor.submit
    with Recorder(engine, tmp_path) as recorder:
        recording = recorder.engine.begin()
        with recorder.under(recording):
            program.request(1)
    assert {function.qualname for function in recording.executed().functions} == {"request", "helper"}
    assert (sys.gettrace(), threading.gettrace(), ThreadPoolExecutor.submit) == (None, None, submit)
    if sys.version_info >= (3, 12):
        assert {sys.monitoring.get_tool(tool) for tool in range(6)} == {None}
