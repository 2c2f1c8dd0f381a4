"""What ran before is known by its bits: the same answer for the same sets, and never for others."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.recording import Executed, LineSet
from otel_coverage.recording.known_sets import KnownSets
from otel_coverage.recording.symbolizer import Symbolizer
from otel_coverage.source import SourceTree
from tests.recording.recorder import MONITORING, Kind, Recorder, imported

TWINS = """
def first(n):
    if n:
        return 1
    return 0


def second(n):
    if n:
        return 1
    return 0
"""

lines = st.frozensets(st.integers(0, 3000), max_size=60)


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "twins.py").write_text(TWINS)
    (tmp_path / "other.py").write_text(TWINS)
    with imported(tmp_path, "twins") as module, imported(tmp_path, "other"):
        yield module


def ran(recorder: Recorder, *calls: tuple[Any, int]) -> Executed:
    with recorder.recording() as recording:
        for function, n in calls:
            function(n)
    return recording.executed()


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_functions_of_the_same_shape_are_told_apart(twins: ModuleType, kind: Kind, tmp_path: Path) -> None:
    with Recorder(kind, tmp_path) as recorder:
        for _ in range(2):
            assert {name.qualname for name in ran(recorder, (twins.first, 1)).functions} == {"first"}
            assert {name.qualname for name in ran(recorder, (twins.second, 1)).functions} == {"second"}


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_other_lines_of_the_same_functions_are_told_apart(twins: ModuleType, kind: Kind, tmp_path: Path) -> None:
    with Recorder(kind, tmp_path) as recorder:
        for _ in range(2):
            assert ran(recorder, (twins.first, 1)).lines == {"twins.py": {3, 4}}
            assert ran(recorder, (twins.first, 0)).lines == {"twins.py": {3, 5}}
            assert ran(recorder, (twins.first, 0), (twins.first, 1)).lines == {"twins.py": {3, 4, 5}}


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_what_a_recording_has_executed_grows_while_it_is_open(twins: ModuleType, kind: Kind, tmp_path: Path) -> None:
    with Recorder(kind, tmp_path) as recorder:
        for _ in range(2):
            with recorder.recording() as recording:
                assert not recording.executed()
                twins.first(1)
                assert recording.executed().lines == {"twins.py": {3, 4}}
                twins.first(0)
                twins.second(1)
                assert recording.executed().lines == {"twins.py": {3, 4, 5, 9, 10}}
            assert recording.executed().lines == {"twins.py": {3, 4, 5, 9, 10}}


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("kind", [kind for kind in MONITORING if kind.values[0].backend == "c"], ids=str)
def test_what_ran_before_is_the_same_object_whatever_order_it_ran_in(
    twins: ModuleType, kind: Kind, tmp_path: Path
) -> None:
    other = __import__("other")
    with Recorder(kind, tmp_path) as recorder, ExitStack() as crowd:
        one = ran(recorder, (twins.first, 1), (twins.second, 0), (other.first, 1))
        for _ in range(70):  # whose bits are others than that of the first
            crowd.enter_context(recorder.recording())
        again = ran(recorder, (twins.second, 0), (twins.first, 1), (other.first, 1))
        assert again == one
        assert again.lines["twins.py"] is one.lines["twins.py"]
        assert ran(recorder, (twins.first, 1), (twins.second, 0), (other.first, 1)) is one


@pytest.mark.since(3, 12)
@pytest.mark.parametrize("kind", MONITORING, ids=str)
def test_code_that_takes_the_place_of_freed_code_is_told_apart(kind: Kind, tmp_path: Path) -> None:
    with Recorder(kind, tmp_path) as recorder:
        for number in range(50):  # the memory of one is that of the next
            namespace: dict[str, Any] = {}
            exec(compile(f"def f{number}(n):\n    return n\n", str(tmp_path / "made.py"), "exec"), namespace)
            executed = ran(recorder, (namespace.pop(f"f{number}"), 1))
            assert {name.qualname for name in executed.functions} == {f"f{number}"}
            gc.collect()


def test_what_is_known_is_named_once_and_forgotten_when_it_takes_too_much_memory(tmp_path: Path) -> None:
    named: list[str] = []

    class Noted(Symbolizer):
        def symbolize_file(self, entered: Sequence[CodeType], lines: LineSet) -> Executed:
            named.extend(code.co_filename for code in entered)
            return Executed(frozenset(), {code.co_filename: lines for code in entered})

    known = KnownSets(Noted(SourceTree([str(tmp_path)])), lines=True, most_bytes=20_000)

    def read(name: str) -> Executed:
        key = name.encode()
        return known.executed([known.by_key.get(key) or (key, [compile("", name, "exec")], (b"\6", "1-2"))])

    assert read("a") is read("a")
    assert named == ["a"]
    for number in range(1000):
        assert read(f"f{number}").lines == {f"f{number}": {1, 2}}
        assert len(known.by_key) < 20
    both = known.executed([read("a"), read("b")])
    assert both is known.executed([read("a"), read("b")])
    assert both.lines == {"a": {1, 2}, "b": {1, 2}}
    for number in range(1000):
        assert len(known.executed([read("a"), read(f"g{number}")]).lines) == 2
        assert len(known.merged) < 20


def test_what_takes_more_memory_than_all_that_may_be_known_is_not_kept(tmp_path: Path) -> None:
    known = KnownSets(Symbolizer(SourceTree([str(tmp_path)])), lines=True, most_bytes=100)
    assert not known.executed([(b"key", [compile("", "elsewhere.py", "exec")], (b"\6", "1-2"))])
    assert not known.by_key


@given(lines, lines)
def test_a_set_of_lines_is_as_any_other_set(these: frozenset[int], others: frozenset[int]) -> None:
    ours, theirs = LineSet.of(these), LineSet.of(others)
    assert ours == these
    assert these == ours
    assert (ours == theirs) is (these == others)
    assert hash(ours) == hash(LineSet.of(sorted(these)))
    assert (list(ours), len(ours), bool(ours)) == (sorted(these), len(these), bool(these))
    assert all((number in ours) is (number in these) for number in range(-1, 3002))
    for mixed in (theirs, others):
        assert ours | mixed == these | others
        assert ours & mixed == these & others
        assert ours - mixed == these - others
    assert these | theirs == these | others
    assert these & theirs == these & others
    assert these - theirs == these - others


def test_a_set_of_lines_is_written_as_ranges() -> None:
    assert LineSet.of([47, 40, 41, 42, 44]).ranges == "40-42,44,47"
    assert LineSet().ranges == ""
