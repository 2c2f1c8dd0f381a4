"""Names of symbols, and what counts as a function."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import CodeType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.code_objects import loaded_by
from otel_coverage.source import SourceFile, SourceTree
from otel_coverage.symbols import Symbol, symbol_of


def codes_of(code: CodeType, qualname: str = "<module>") -> Iterator[tuple[CodeType, str]]:
    """All code objects of a module's, each with its qualified name."""
    yield code, qualname
    for inner in loaded_by(code):
        yield from codes_of(*inner)


def symbols_in(folder: Path, source: str) -> set[str]:
    """The symbols among all code objects that the interpreter makes of a module ``m``."""
    path = folder / "m.py"
    path.write_text(dedent(source).lstrip("\n"), encoding="utf-8")
    file = SourceTree([str(folder)]).locate(str(path))
    assert file is not None
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    return {
        str(symbol) for symbol in (symbol_of(each, file, name) for each, name in codes_of(code)) if symbol is not None
    }


class TestASymbol:
    def test_reads_module_colon_qualname_at_line(self) -> None:
        assert Symbol("shop.orders", "Order.total", 42).id == "shop.orders:Order.total@42"
        assert str(Symbol("shop", "f.<locals>.g", 1)) == "shop:f.<locals>.g@1"

    @given(
        module=st.text(min_size=1),
        qualname=st.from_regex(r"[^\W\d]\w*(\.<locals>)?(\.[^\W\d]\w*)?", fullmatch=True),
        line=st.integers(min_value=0),
    )
    def test_is_read_back_as_it_was_written_whatever_the_folders_are_called(
        self, module: str, qualname: str, line: int
    ) -> None:
        assert Symbol.parse(Symbol(module, qualname, line).id) == Symbol(module, qualname, line)

    @pytest.mark.parametrize(
        "text", ["", "shop", "shop:f", "shop:f@", "shop:f@x", "shop:f@-1", ":f@1", "shop:@1", "f@1", "shop:f@١"]
    )
    def test_is_not_read_from_anything_else(self, text: str) -> None:
        with pytest.raises(ValueError, match="not a symbol"):
            Symbol.parse(text)

    def test_has_the_parts_that_it_was_made_of(self) -> None:
        symbol = Symbol("a.b:c@7", "f.<locals>.g", 12)
        assert (symbol.module, symbol.qualname, symbol.line) == ("a.b:c@7", "f.<locals>.g", 12)
        assert repr(symbol) == "Symbol('a.b:c@7', 'f.<locals>.g', 12)"


class TestAFunction:
    def test_is_what_def_and_async_def_define(self, tmp_path: Path) -> None:
        source = """
            def plain(): return 1
            async def waits():
                return 1
            def generates():
                yield 1
            class Order:
                def total(self): return 2
                async def stream(self):
                    yield 1
        """
        assert symbols_in(tmp_path, source) == {
            "m:plain@1", "m:waits@2", "m:generates@4", "m:Order.total@7", "m:Order.stream@8",
        }  # fmt: skip

    def test_stands_at_the_line_of_its_first_decorator(self, tmp_path: Path) -> None:
        source = """
            import functools

            @functools.cache
            @functools.wraps(
                print
            )
            def decorated():
                return 1
        """
        assert symbols_in(tmp_path, source) == {"m:decorated@3"}

    def test_is_told_apart_from_its_setter_by_line(self, tmp_path: Path) -> None:
        source = """
            class Order:
                @property
                def total(self): return 1
                @total.setter
                def total(self, value): pass
        """
        assert symbols_in(tmp_path, source) == {"m:Order.total@2", "m:Order.total@4"}

    def test_keeps_its_name_when_nested_or_declared_global(self, tmp_path: Path) -> None:
        source = """
            def outer():
                def inner(): return 1
                global everywhere
                def everywhere(): return 2
                class Local:
                    def method(self): return lambda: 3
        """
        assert symbols_in(tmp_path, source) == {
            "m:outer@1", "m:outer.<locals>.inner@2", "m:everywhere@4", "m:outer.<locals>.Local.method@6",
        }  # fmt: skip

    def test_is_no_lambda_comprehension_class_or_module(self, tmp_path: Path) -> None:
        source = """
            double = lambda x: 2 * x
            squares = [x * x for x in ()]
            lazy = (x for x in ())
            class Order:
                rows = {x: lambda: x for x in ()}
        """
        assert symbols_in(tmp_path, source) == set()

    def test_without_arguments_on_one_line_is_one_where_a_type_alias_could_stand(self, tmp_path: Path) -> None:
        source = """
            def one(): return 1
            def outer():
                def two(): return 2
                def ﬁve(): return 5
                return two
            if True:
                def \tthree  (): return 3
        """
        assert symbols_in(tmp_path, source) == {
            "m:one@1", "m:outer@2", "m:outer.<locals>.two@3", "m:outer.<locals>.five@4", "m:three@7",
        }  # fmt: skip

    @pytest.mark.since(3, 12)
    def test_is_no_type_alias_type_variable_or_generic_scope(self, tmp_path: Path) -> None:
        source = """
            type Alias = int
            type Folded = 1
            type Spread = (
                int
            )
            type Listed = [x for x in ()]
            type Generic[T: int] = list[T]
            def generic[T: (int, str)](value: T) -> T: return value
            def bare[T](): return 1
            class Order[T: dict[str, int]]:
                type Rows = list[T]
                def total[N: int](self) -> N: return 1
            def outer():
                type Local = int
                return Local
        """
        assert symbols_in(tmp_path, source) == {
            "m:generic@8", "m:bare@9", "m:Order.total@12", "m:outer@13",
        }  # fmt: skip

    @pytest.mark.since(3, 13)
    def test_is_no_type_variables_default(self, tmp_path: Path) -> None:
        assert symbols_in(tmp_path, "def generic[T = int](value: T) -> T: return value\n") == {"m:generic@1"}

    def test_may_take_a_positional_format_as_annotation_scopes_do(self, tmp_path: Path) -> None:
        source = """
            import functools
            def render(format, /): return format
            @functools.cache
            def cached(format, /):
                return format
            def __annotate__(format, /):
                return {}
        """
        assert symbols_in(tmp_path, source) == {"m:render@2", "m:cached@3", "m:__annotate__@6"}

    def test_is_no_scope_of_annotations(self, tmp_path: Path) -> None:
        source = """
            import functools
            rate: float = 1.0
            @functools.cache
            def total(price: "int", *, count: int = 1) -> int:
                return price
            class Order:
                price: int
                def total(self: "Order") -> float: return 1.0
        """
        assert symbols_in(tmp_path, source) == {"m:total@3", "m:Order.total@8"}

    def test_is_still_one_when_its_source_is_gone(self, tmp_path: Path) -> None:
        code = compile("def gone(): return 1\n", str(tmp_path / "gone.py"), "exec", dont_inherit=True)
        file = SourceFile(str(tmp_path / "gone.py"), "gone.py", "gone")
        assert [symbol_of(each, file, name) for each, name in codes_of(code)] == [None, Symbol("gone", "gone", 1)]

    @pytest.mark.since(3, 12)
    def test_is_still_one_when_its_source_is_another_by_now(self, tmp_path: Path) -> None:
        before = """
            def one(): return 1

            def two(): return 2
            type Alias = int
            def generic[
                T: int,
            ](value: T) -> T: return value
        """
        after = """
            type Other = int
            def two(): return 2
            def one(): return 1
            type Alias = int
            def other[
                T: int,
            ](value: T) -> T: return value
        """
        functions = {"m:one@1", "m:two@3", "m:generic@5"}
        assert symbols_in(tmp_path, before) == functions
        path, code = tmp_path / "m.py", compile(dedent(before).lstrip("\n"), "m.py", "exec", dont_inherit=True)
        path.write_text(dedent(after).lstrip("\n"))
        file = SourceFile(str(path), "m.py", "m")
        assert {str(found) for each, name in codes_of(code) if (found := symbol_of(each, file, name))} == functions
        assert symbols_in(tmp_path, after) == {"m:two@2", "m:one@3", "m:other@5"}


def test_the_name_comes_from_the_path_and_not_from_how_the_module_runs(tmp_path: Path) -> None:
    path = tmp_path / "shop" / "job.py"
    path.parent.mkdir()
    path.write_text("def work(): return 1\nif __name__ == '__main__': work()\n")
    tree = SourceTree([str(tmp_path)])
    seen: list[str] = []

    def profiler(frame: object, event: str, argument: object) -> None:
        code: CodeType = frame.f_code  # type: ignore[attr-defined]
        file = tree.locate(code.co_filename)
        symbol = file and symbol_of(code, file, code.co_name)
        if event == "call" and symbol:
            seen.append(str(symbol))

    sys.setprofile(profiler)
    try:
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), {"__name__": "__main__"})
    finally:
        sys.setprofile(None)
    assert seen == ["shop.job:work@1"]


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda symbol: pickle.loads(pickle.dumps(symbol))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_symbol_can_be_copied_and_pickled(duplicate: Callable[[Symbol], Symbol]) -> None:
    symbol = Symbol("a:b.c", "D.e", 7)
    assert duplicate(symbol) == symbol
    assert type(duplicate(symbol)) is Symbol
