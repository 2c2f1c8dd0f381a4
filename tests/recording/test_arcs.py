"""The arcs of each recording, against those that coverage.py finds when the same request runs alone.

Engine ``coverage`` has the very arcs of coverage.py's C tracer. Engine ``monitoring`` sees branches and returns: what
is compared with coverage.py is what a report makes of them, lines missed and branches taken. Its cores differ there: to
``ctrace`` an exception that leaves a function returns from it, to ``sysmon`` a line is reached from whichever was the
last to be new. Engine ``monitoring`` has all that both have, and nothing that neither has.
"""

from __future__ import annotations

import functools
import gc
import logging
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, ModuleType

import coverage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.recording import Arc, Executed
from tests.recording.oracle import Oracle, Step
from tests.recording.programs import programs, requests
from tests.recording.recorder import COVERAGE, MONITORING, Kind, Recorder, attempt, imported
from tests.recording.test_generated_programs import drawn, loaded
from tests.recording.test_sequential import MODULES, NUMBERS, PROGRAMS, entry_points
from tests.recording.test_threads import KINDS, on_threads

BRANCHES = tuple(pytest.param(*parameters.values, marks=pytest.mark.since(3, 14)) for parameters in MONITORING)
ENGINES = (*BRANCHES, COVERAGE)

PROGRAM = """\
def through(n):
    found = 0
    if n & 1:
        found += 1
    if n & 2:
        found += 2
    for number in range(n & 4):
        if number == 2:
            break
    else:
        found += 3
    while n & 8:
        n -= 8
    if n & 16:
        return found
    return -found

def counting(n):
    while n:
        if n & 1:
            yield 1
        else:
            yield 2
        n -= 1

def calling(hook, n):
    hook()
    if n:
        n = 0
    return n
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "branches.py").write_text(PROGRAM)
    with imported(tmp_path, "branches") as module:
        yield module


@functools.lru_cache(maxsize=4096)
def reported(filename: str, arcs: frozenset[Arc]) -> tuple[set[int], set[Arc]]:
    """What a report makes of them: the lines that were missed, and the branches that were taken."""
    measured = coverage.Coverage(data_file=None, config_file=False, branch=True)
    data = measured.get_data()
    data.add_arcs({filename: arcs})
    analysis = measured._analyze(filename)
    return analysis.missing, {(line, to) for line, ends in analysis.executed_branch_arcs().items() for to in ends}


class Reference:
    """What coverage.py finds of requests alone.

    Args:
        oracle: coverage.py.
        kind: the engine that is compared with it.
        folder: where the program is.
        module: the program.
        calls: the requests: function and number.
    """

    def __init__(self, oracle: Oracle, kind: Kind, folder: Path, module: str, calls: Iterable[tuple[str, int]]) -> None:
        steps = [Step(f"{name} {number}", "call", name, (number,)) for name, number in calls]
        self._folder = folder
        self._traced = oracle.ask_arcs(folder, module, steps, "ctrace")
        self._monitored = None if kind is COVERAGE else oracle.ask_arcs(folder, module, steps, "sysmon")

    def differences(self, name: str, number: int, executed: Executed) -> list[object]:
        """In which files it is not what was recorded, and how."""
        traced = self._traced[f"{name} {number}"]
        if self._monitored is None:
            return [] if executed.arcs == traced else [executed.arcs, traced]
        monitored = self._monitored[f"{name} {number}"]
        if executed.lines.keys() != monitored.keys():
            return [executed.lines, monitored]
        found: list[object] = []
        for path, lines in executed.lines.items():
            filename = str(self._folder / path)
            gone = executed.arcs.get(path, frozenset()) | {(line, line) for line in lines}
            missing, taken = reported(filename, frozenset(gone))
            missing_alone, by_one = reported(filename, monitored[path])
            by_other = reported(filename, traced.get(path, frozenset()))[1]
            if missing != missing_alone or not by_one & by_other <= taken <= by_one | by_other:
                found.append((path, missing, missing_alone, taken, by_one, by_other))
        return found


def record(recorder: Recorder, function: Callable[..., object], *arguments: object) -> Executed:
    gc.disable()  # it would end generators that were left before, inside of this recording
    try:
        with recorder.recording() as recording:
            attempt(function, *arguments)
    finally:
        gc.enable()
    assert recording.branch
    assert recording.incomplete is None
    executed = recording.executed()
    assert all(number > 0 for lines in executed.lines.values() for number in lines)
    return executed


@pytest.mark.parametrize("kind", ENGINES, ids=str)
@pytest.mark.parametrize("name", ["shop", *MODULES])
def test_each_way_of_running_code_takes_the_arcs_that_coverage_finds(
    name: str, kind: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    shutil.copy(PROGRAMS / f"{name}.py", tmp_path)
    with imported(tmp_path, name) as module:
        names = KINDS if name == "shop" else entry_points(module)
        asked = [(function, number) for function in names for number in NUMBERS]
        alone = Reference(oracle, kind, tmp_path, name, asked)
        with Recorder(kind, tmp_path, branch=True) as recorder:
            for _ in range(2):  # the second time around everything was switched off before
                for function, number in asked:
                    executed = record(recorder, getattr(module, function), number)
                    assert alone.differences(function, number, executed) == [], (function, number)


IMPORTED = """\
import functools

class Empty: pass
class Full:
    x = [n for n in range(3) if n]

    def one(self): return 1

def kept(function): return function

@kept
@functools.cache
def decorated(n): return n

def unused():
    return lambda: 1

if decorated(1):
    y = lambda n: n
else:
    y = None
for z in range(2):
    def each(n): return n
    if z: break
try:
    y(1).missing
except AttributeError: pass
"""


@pytest.mark.parametrize("kind", ENGINES, ids=str)
def test_what_an_import_runs_takes_the_arcs_that_coverage_finds(kind: Kind, oracle: Oracle, tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(IMPORTED)
    (tmp_path / "importing.py").write_text("def importing(n):\n    import late\n    return late.Full().one()\n")
    alone = Reference(oracle, kind, tmp_path, "importing", [("importing", 1)])
    for _ in range(2):
        with imported(tmp_path, "importing") as module, Recorder(kind, tmp_path, branch=True) as recorder:
            executed = record(recorder, module.importing, 1)
        assert len(executed.lines["late.py"]) > 15
        assert alone.differences("importing", 1, executed) == []


NUMBERS_THROUGH = tuple(range(32))


def each_path_through(program: ModuleType, kind: Kind, oracle: Oracle, folder: Path) -> dict[int, Executed]:
    """What each number alone is recorded as, once that is known to be what coverage.py finds."""
    alone = Reference(oracle, kind, folder, "branches", [("through", number) for number in NUMBERS_THROUGH])
    recorded = {}
    for number in NUMBERS_THROUGH:
        with Recorder(kind, folder, branch=True) as recorder:
            recorded[number] = record(recorder, program.through, number)
        assert alone.differences("through", number, recorded[number]) == [], number
    assert len({frozenset(executed.arcs["branches.py"]) for executed in recorded.values()}) == len(NUMBERS_THROUGH)
    return recorded


@pytest.mark.usefixtures("switching_all_the_time")
@pytest.mark.parametrize("kind", ENGINES, ids=str)
def test_eight_threads_that_take_different_paths_through_one_function_are_all_exact(
    program: ModuleType, kind: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    alone = each_path_through(program, kind, oracle, tmp_path)
    wrong: list[object] = []

    def serve(first: int) -> None:
        draw = random.Random(first)
        for _ in range(250):
            number = draw.choice(NUMBERS_THROUGH)
            if draw.random() < 0.2:
                program.through(number)  # an untraced request
                continue
            with recorder.recording() as recording:
                for _ in range(draw.randrange(3)):
                    time.sleep(0)  # others run, and switch off what this request is about to need
                program.through(number)
            if recording.executed() != alone[number]:
                wrong.append((number, recording.executed() - alone[number], alone[number] - recording.executed()))

    with Recorder(kind, tmp_path, branch=True) as recorder:
        on_threads(serve)
    assert wrong == []


@pytest.mark.usefixtures("switching_all_the_time")
@pytest.mark.parametrize("kind", BRANCHES, ids=str)
def test_recordings_that_idle_or_span_many_requests_disturb_no_arcs_of_others(
    program: ModuleType, kind: Kind, oracle: Oracle, tmp_path: Path
) -> None:
    alone = each_path_through(program, kind, oracle, tmp_path)
    wrong: list[object] = []

    def serve(first: int) -> None:
        draw = random.Random(first)
        for _ in range(25):
            numbers = draw.choices(NUMBERS_THROUGH, k=draw.randrange(3))
            with recorder.recording() as recording:
                for number in numbers:
                    with recorder.under(None):
                        others = draw.choice(NUMBERS_THROUGH)
                        if record(recorder, program.through, others) != alone[others]:
                            wrong.append(others)
                    program.through(number)
            everything = functools.reduce(Executed.__or__, (alone[number] for number in numbers), Executed())
            if recording.executed().arcs != everything.arcs:
                wrong.append(numbers)

    with Recorder(kind, tmp_path, branch=True) as recorder:
        on_threads(serve)
    assert wrong == []


@pytest.mark.parametrize("kind", BRANCHES, ids=str)
@given(data=st.data())
@drawn
def test_drawn_requests_on_threads_take_the_arcs_that_coverage_finds(
    kind: Kind, oracle: Oracle, data: st.DataObject
) -> None:
    program = data.draw(programs().filter(lambda program: "function" in program.functions.values()))
    asked = data.draw(requests(program))
    with loaded(program) as (folder, module):
        alone = Reference(oracle, kind, folder, "drawn", asked)
        with Recorder(kind, folder, branch=True) as recorder:

            def serve(first: int) -> None:
                for turn in range(3 * len(asked)):
                    name, number = asked[(first + turn) % len(asked)]
                    executed = record(recorder, getattr(module, name), number)
                    assert alone.differences(name, number, executed) == [], (name, number)

            on_threads(serve, 4)


def arcs_of(executed: Executed) -> set[Arc]:
    return set(executed.arcs.get("branches.py", ()))


@pytest.mark.parametrize("kind", BRANCHES, ids=str)
def test_a_line_that_ran_just_after_another_was_not_reached_from_it(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "branches.py").write_text(
        "def down(n):\n    while n > 1:\n        n -= 1\n        if n == 2: break\n    return n\n"
    )
    with imported(tmp_path, "branches") as module, Recorder(kind, tmp_path, branch=True) as recorder:
        assert arcs_of(record(recorder, module.down, 2)) == {(2, 3), (4, 2), (2, 5), (5, -1)}
        assert arcs_of(record(recorder, module.down, 3)) == {(2, 3), (4, 5), (5, -1)}


@pytest.mark.parametrize("kind", BRANCHES, ids=str)
def test_a_definition_goes_on_to_the_next_line_only_where_it_succeeds(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "branches.py").write_text("def outer(n):\n    def inner(m=1 / n): return m\n    return inner\n")
    with imported(tmp_path, "branches") as module, Recorder(kind, tmp_path, branch=True) as recorder:
        assert arcs_of(record(recorder, module.outer, 0)) == set()
        assert arcs_of(record(recorder, module.outer, 1)) == {(2, 3), (3, -1)}
        assert arcs_of(record(recorder, module.outer(1))) == {(2, -2)}


@pytest.mark.parametrize("kind", BRANCHES, ids=str)
def test_an_edge_taken_where_no_line_begins_is_recorded_by_each_recording_that_resumes_before_it(
    kind: Kind, tmp_path: Path
) -> None:
    (tmp_path / "branches.py").write_text("def asked():\n    if (yield):\n        pass\n")
    with imported(tmp_path, "branches") as module:
        running = [module.asked() for _ in range(3)]
        for generator in running:
            next(generator)  # nothing is hooked yet: no line is switched off, nor will one be
        with Recorder(kind, tmp_path, branch=True) as recorder:
            recordings = [recorder.engine.begin() for _ in running]
            for recording, generator in zip(recordings, running, strict=True):
                with recorder.under(recording):
                    assert list(generator) == []
                recorder.engine.end(recording)
            assert [arcs_of(recording.executed()) for recording in recordings] == [{(2, -1)}] * 3


@pytest.mark.parametrize("kind", BRANCHES, ids=str)
def test_left_and_right_of_a_branch_are_each_ones_own(program: ModuleType, kind: Kind, tmp_path: Path) -> None:
    with Recorder(kind, tmp_path, branch=True) as recorder, recorder.recording() as first:
        program.through(1)
        with recorder.under(None), recorder.recording() as second:
            program.through(0)
            program.through(0)
        assert {(3, 4), (3, 5)} & arcs_of(first.executed()) == {(3, 4)}
        assert {(3, 4), (3, 5)} & arcs_of(second.executed()) == {(3, 5)}
        program.through(0)
        assert {(3, 4), (3, 5)} <= arcs_of(first.executed())


@pytest.mark.parametrize("kind", BRANCHES, ids=str)
def test_code_that_a_recording_did_not_enter_because_it_began_inside_has_no_arcs(
    program: ModuleType, kind: Kind, tmp_path: Path
) -> None:
    with Recorder(kind, tmp_path, branch=True) as recorder:
        expected = record(recorder, program.calling, time.time, 0)
        begun = []

        def begin() -> None:
            begun.append(recorder.engine.begin())
            recorder.variable.set(begun[0])

        with recorder.recording() as before:
            program.calling(begin, 1)
        recorder.engine.end(begun[0])
        assert not begun[0].executed()
        assert arcs_of(before.executed()) == set()
        assert record(recorder, program.calling, time.time, 0) == expected
        assert arcs_of(expected) == {(28, 30), (30, -26)}


@pytest.mark.parametrize("kind", BRANCHES, ids=str)
def test_each_recording_that_resumes_a_generator_has_the_arcs_from_there_on(
    program: ModuleType, kind: Kind, tmp_path: Path
) -> None:
    with Recorder(kind, tmp_path, branch=True) as recorder:
        for _ in range(3):
            with recorder.recording() as first, recorder.recording() as second, recorder.recording() as third:
                running = program.counting(2)
                with recorder.under(first):
                    next(running)
                with recorder.under(second):
                    next(running)
                with recorder.under(third):
                    assert list(running) == []
            assert arcs_of(first.executed()) == {(19, 20), (20, 23)}
            assert arcs_of(second.executed()) == {(19, 20), (20, 21)}
            assert arcs_of(third.executed()) == {(19, -18)}


@pytest.mark.parametrize("kind", ENGINES, ids=str)
def test_without_branches_asked_for_or_without_lines_there_are_no_arcs(
    program: ModuleType, kind: Kind, tmp_path: Path
) -> None:
    for granularity, branch in (("line", False), ("function", True)):
        with Recorder(kind, tmp_path, granularity, branch=branch) as recorder:  # type: ignore[arg-type]
            with recorder.recording() as recording:
                program.through(3)
            assert not recording.branch
            assert recording.executed().functions
            assert not recording.executed().arcs


@pytest.mark.since(3, 12)
@pytest.mark.until(3, 13)
def test_where_there_are_no_events_for_branches_lines_are_recorded_and_it_is_said_once(
    program: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), Recorder(Kind("monitoring"), tmp_path, branch=True) as recorder:
        for _ in range(2):
            with recorder.recording() as recording:
                program.through(0)
            assert not recording.branch
            assert recording.executed().lines
            assert not recording.executed().arcs
    (said,) = caplog.messages
    assert "only lines are recorded, though branch = true" in said
    assert "3.14" in said


@pytest.mark.since(3, 14)
@pytest.mark.parametrize("module", ["argparse", "asyncio.base_events", "dataclasses", "typing", "zipfile"])
def test_each_edge_has_the_arc_that_coverage_makes_of_it(module: str) -> None:
    from coverage.bytecode import BranchArcResolver, bytes_to_lines

    from otel_coverage.recording.branch_edges import LEFT, RIGHT, BranchEdges, edge_id

    __import__(module)
    filename = sys.modules[module].__file__
    assert filename is not None
    codes = [compile(Path(filename).read_bytes(), filename, "exec")]
    different: list[object] = []
    for code in codes:
        codes.extend(constant for constant in code.co_consts if isinstance(constant, CodeType))
        ours, theirs = BranchEdges(code), BranchArcResolver(code, bytes_to_lines(code), {})
        for source, left, right in code.co_branches():  # type: ignore[attr-defined]
            for side, target in ((LEFT, left), (RIGHT, right)):
                found, expected = ours.arcs([edge_id(source, side)]), theirs.resolve(source, target)
                if found != ({expected} if expected else set()):
                    different.append((code, source, side, found, expected))
    assert len(codes) > 50
    assert different == []
