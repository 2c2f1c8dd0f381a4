"""One request at a time: every way of running code, compared with coverage.py."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from otel_coverage.settings import Granularity
from tests.recording.oracle import Oracle, Step
from tests.recording.recorder import ENGINES, Kind, Recorder, imported

PROGRAMS = Path(__file__).parent.parent / "data" / "programs"
MODULES = [
    "zoo",
    pytest.param("zoo311", marks=pytest.mark.since(3, 11)),
    pytest.param("zoo312", marks=pytest.mark.since(3, 12)),
]
NUMBERS = (0, 1, 2, 3)


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ModuleType]:
    shutil.copy(PROGRAMS / f"{request.param}.py", tmp_path)
    with imported(tmp_path, request.param) as module:
        yield module


def entry_points(module: ModuleType) -> list[str]:
    """The functions that take one number."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, FunctionType)
        and value.__module__ == module.__name__
        and value.__code__.co_varnames[: value.__code__.co_argcount] == ("n",)
        and not value.__code__.co_flags & 0x2A0  # generators and coroutines run nothing when they are only called
    ]


@pytest.mark.parametrize("granularity", ["line", "function"])
@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("program", MODULES, indirect=True)
def test_each_way_of_running_code_is_recorded_as_coverage_finds_it(
    program: ModuleType, engine: Kind, granularity: Granularity, oracle: Oracle, tmp_path: Path
) -> None:
    requests = [(name, number) for name in entry_points(program) for number in NUMBERS]
    assert len(requests) > 10
    expected = oracle.ask(
        tmp_path, program.__name__, [Step(f"{name} {number}", "call", name, (number,)) for name, number in requests]
    )
    with Recorder(engine, tmp_path, granularity) as recorder:
        for _ in range(2):  # the second time around everything was switched off before
            for name, number in requests:
                ran = recorder.ran(getattr(program, name), number)
                assert ran.difference(recorder.expected(expected[f"{name} {number}"])) == {}, (name, number)
