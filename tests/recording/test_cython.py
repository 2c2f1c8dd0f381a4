"""Functions that Cython compiled are ignored, traceable ones too; Python code around them is recorded exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.recording.oracle import Ran
from tests.recording.recorder import COVERAGE, MONITORING, Kind, Recorder, imported

COMPILED = """
def doubled(number):
    return 2 * number

def each(function, numbers):
    return [function(number) for number in numbers]

def counted(n):
    for number in range(n):
        yield number

async def waiting(awaitable):
    return await awaitable

class Counter:
    def __init__(self, n):
        self.n = n

    def up(self):
        self.n += 1
        return self.n
"""

CALLING = """
from compiled import Counter, counted, doubled, each, waiting

def calling(n):
    found = doubled(n)
    return each(called, range(found))

def called(n): return n

def iterating(n):
    counter = Counter(n)
    for number in counted(n):
        counter.up()
    return number

def awaiting(n):
    try:
        waiting(awaited(n)).send(None)
    except StopIteration as stop:
        return stop.value

async def awaited(n):
    return n
"""

EXPECTED = {
    "calling": ({("calling", 4), ("called", 8)}, {5, 6, 8}),
    "iterating": ({("iterating", 10)}, {11, 12, 13, 14}),
    "awaiting": ({("awaiting", 16), ("awaited", 22)}, {17, 18, 19, 20, 23}),
}


@pytest.fixture(scope="module")
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module that Cython compiled, beside its source, and one that calls it."""
    folder = tmp_path_factory.mktemp(request.param).resolve()
    (folder / "compiled.py").write_text(COMPILED)
    (folder / "calling.py").write_text(CALLING)
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "--inplace", "--quiet"]
    flags = "-O0"
    if request.param == "traceable":
        command += ["-X", "profile=True", "-X", "linetrace=True"]
        flags += " -DCYTHON_TRACE=1"
    done = subprocess.run(
        [*command, "compiled.py"],
        cwd=folder,
        env={**os.environ, "CFLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def program(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.chdir(compiled)  # Cython's code objects name their source relative to where it was compiled
    with imported(compiled, "calling") as module:
        assert not str(sys.modules["compiled"].__file__).endswith(".py")
        yield module


# Traceable functions fire events of sys.monitoring from CPython 3.13 on. To coverage.py's tracer it looks as if some of
# their lines ran in whoever calls them.
@pytest.mark.parametrize(
    ("compiled", "engine"),
    [
        *(pytest.param("plain", *engine.values, marks=engine.marks) for engine in MONITORING),
        *(pytest.param("traceable", *engine.values, marks=pytest.mark.since(3, 13)) for engine in MONITORING),
        ("plain", COVERAGE),
    ],
    indirect=["compiled"],
    ids=str,
)
def test_what_cython_compiled_is_ignored_and_what_is_around_it_is_exact(program: ModuleType, engine: Kind) -> None:
    with Recorder(engine, Path(program.__file__ or "").parent) as recorder:
        for _ in range(3):
            for name, (functions, lines) in EXPECTED.items():
                ran = recorder.ran(getattr(program, name), 3)
                expected = Ran(
                    frozenset(("calling.py", function, first) for function, first in functions),
                    frozenset(("calling.py", line) for line in lines),
                )
                assert ran.difference(expected) == {}, name
        assert (program.calling(2), program.iterating(3), program.awaiting(4)) == ([0, 1, 2, 3], 2, 4)
