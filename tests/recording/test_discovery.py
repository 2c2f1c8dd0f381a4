"""Code that appears while recordings run, code that is freed, and code of libraries."""

from __future__ import annotations

import gc
import sys
import textwrap
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from otel_coverage.source import SourceFile, SourceTree
from tests.recording.oracle import Oracle, Ran, Step
from tests.recording.recorder import COVERAGE, ENGINES, MONITORING, Kind, Recorder, imported

MAKING = '''
TEXT = """
def made():
    return inner()
""" + "\\n" * 100 + """
def inner():
    return 1
"""

def make():
    names = {}
    exec(compile(TEXT, __file__, "exec"), names)
    return names["made"]()
'''
MAIN = """
import importlib

def importing(n):
    import helper
    return helper.used(n)

def reloading(n):
    import helper
    importlib.reload(helper)
    return helper.used(n)

def executing(n):
    made = {}
    exec("def made(n): return n", made)
    return made["made"](n)

def compiling(n):
    made = {}
    with open(__file__) as file:
        exec(compile(file.read(), __file__, "exec"), made)
    return made["short"](n)

def short(n): return n
"""
HELPER = """
import functools

class Helper:
    attribute = [number for number in range(2)]

    def method(self): return 1

    def unused(self):
        return 2

def wrapped(function):
    @functools.wraps(function)
    def wrapper(n):
        return function(n)
    return wrapper

@wrapped
def used(n):
    return Helper().method()

if used(0):
    CONSTANT = (lambda: 1)()
else:
    CONSTANT = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "helper.py").write_text(HELPER)
    return tmp_path


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("function", ["importing", "reloading", "executing", "compiling"])
def test_code_made_during_a_recording_is_recorded(function: str, engine: Kind, folder: Path, oracle: Oracle) -> None:
    expected = oracle.ask(folder, "main", [Step("alone", "call", function, (1,))])["alone"]
    assert expected.functions
    with imported(folder, "main") as module, Recorder(engine, folder) as recorder:
        for _ in range(3):
            sys.modules.pop("helper", None)
            assert recorder.ran(getattr(module, function), 1).difference(expected) == {}


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_new_code_is_exact_for_all_threads_that_meet_it_at_once(engine: Kind, tmp_path: Path) -> None:
    source = "def new(n):\n    n += 1\n    if n % 2:\n        n += 1\n    return n\n"
    path = tmp_path / "new.py"
    path.write_text(source)
    code = next(constant for constant in compile(source, str(path), "exec").co_consts if isinstance(constant, CodeType))
    expected = Ran(frozenset({("new.py", "new", 1)}), frozenset(("new.py", line) for line in (2, 3, 5)))
    barrier = threading.Barrier(4)

    def meet(function: FunctionType) -> Ran:
        barrier.wait()
        return recorder.ran(function, 1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with Recorder(engine, tmp_path) as recorder, ThreadPoolExecutor(4) as pool:
            for _ in range(150):
                function = FunctionType(code.replace(), {})
                for future in [pool.submit(meet, function) for _ in range(4)]:
                    assert future.result().difference(expected) == {}
    finally:
        sys.setswitchinterval(before)


@contextmanager
def counted_events() -> Iterator[Counter[str]]:
    """How often each tool of ours calls back, by tool; what it would have done is not done.

    No garbage is collected meanwhile: others' code may be called for that, such as hypothesis's.
    """
    counts: Counter[str] = Counter()
    events = sys.monitoring.events
    replaced = []
    for tool in range(6):
        name = sys.monitoring.get_tool(tool)
        if name is not None and name.startswith("otel-coverage"):
            for event in (events.PY_START, events.PY_RESUME, events.LINE, events.PY_THROW):

                def count(*_arguments: object, name: str = name) -> None:
                    counts[name] += 1

                replaced.append((tool, event, sys.monitoring.register_callback(tool, event, count)))
    assert replaced
    gc.disable()
    try:
        yield counts
    finally:
        gc.enable()
    for tool, event, callback in replaced:
        sys.monitoring.register_callback(tool, event, callback)


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_while_nothing_is_recorded_no_event_fires(engine: Kind, folder: Path) -> None:
    def run() -> None:
        module.importing(1)
        textwrap.dedent("  text")
        list(textwrap.wrap("some text"))

    with imported(folder, "main") as module, Recorder(engine, folder) as recorder:
        recorder.ran(run)
        run()  # what is still armed is disabled, as no recording is active
        with counted_events() as counts:
            for _ in range(3):
                run()
            counted = dict(counts)
        assert counted == {}


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_library_code_is_not_instrumented_while_recordings_run(engine: Kind, folder: Path) -> None:
    with imported(folder, "main") as module, Recorder(engine, folder) as recorder, recorder.recording():
        module.importing(1)
        textwrap.dedent("  text")
        with counted_events() as counts:
            for _ in range(3):
                textwrap.dedent("  text")
            counted = dict(counts)
        assert counted == {}
        for tool in range(6):
            if sys.monitoring.get_tool(tool) is not None:
                assert sys.monitoring.get_local_events(tool, textwrap.dedent.__code__) == 0


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_code_without_references_is_freed(engine: Kind, folder: Path) -> None:
    with Recorder(engine, folder) as recorder:
        with imported(folder, "main") as module:
            recorder.ran(module.reloading, 1)
            code = weakref.ref(module.reloading.__code__)
        del module
        gc.collect()
        assert code() is None


def test_recordings_of_engine_coverage_that_ended_leave_nothing_behind(folder: Path) -> None:
    with imported(folder, "main") as module, Recorder(COVERAGE, folder) as recorder:

        def serve() -> None:
            for _ in range(500):
                recorder.ran(module.short, 1)

        serve()
        gc.collect()
        before = sys.getallocatedblocks()
        serve()
        gc.collect()
        assert sys.getallocatedblocks() - before < 500


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_what_another_text_defines_under_a_files_name_is_named_as_the_code_says_where_code_is_seen(
    engine: Kind, tmp_path: Path
) -> None:
    """As templates and decorators make them: ``exec(compile(text, __file__, "exec"))``; docs/reading.md says it."""
    (tmp_path / "making.py").write_text(MAKING)
    with imported(tmp_path, "making") as module, Recorder(engine, tmp_path) as recorder:
        found = recorder.ran(module.make).functions
    made = {("making.py", "made", 2), ("making.py", "inner", 105)} if engine.choice == "monitoring" else set()
    assert found == {("making.py", "make", 10), *made}


@pytest.mark.parametrize("engine", MONITORING, ids=str)
def test_a_file_name_that_cannot_be_looked_up_breaks_nothing(
    engine: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locate(self: SourceTree, filename: str) -> SourceFile | None:
        if filename == "odd":
            raise OSError("too odd")
        return found(self, filename)

    found = SourceTree.locate
    monkeypatch.setattr(SourceTree, "locate", locate)
    made: dict[str, FunctionType] = {}
    exec(compile("def odd(n):\n    return n\ndef other(): pass\n", "odd", "exec"), made)
    with imported(folder, "main") as module, Recorder(engine, folder) as recorder:

        def run() -> None:
            made["odd"](module.short(1))
            made["other"]()

        assert {name for _, name, _ in recorder.ran(run).functions} == {"short"}
        assert {name for _, name, _ in recorder.ran(run).functions} == {"short"}
    assert [record.getMessage().count("'odd'") for record in caplog.records] == [1]
