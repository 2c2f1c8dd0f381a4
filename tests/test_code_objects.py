"""Names of code objects are those of the functions and classes that are made of them."""

from __future__ import annotations

import gc
from pathlib import Path
from types import CodeType, FunctionType

from otel_coverage.code_objects import loaded_by, qualname_of

SOURCE = '''
kept = []
def keep(made):
    kept.append(made)
    return made
@keep
def plain(a, b=lambda: 1, *, c: "annotated" = 2):
    x = a
    @keep
    def closure():
        @keep
        class Local:
            """With a docstring."""
            field = [(lambda: y)() for y in (x,)]
            @keep
            def method(self): return x
            @property
            @keep
            def total(self): return 1
            @total.setter
            @keep
            def total(self, value): pass
        return Local
    closure()
    global everywhere, Everywhere
    @keep
    def everywhere():
        @keep
        def below(): pass
        below()
    everywhere()
    @keep
    class Everywhere:
        @keep
        async def __private(self):
            """Only a docstring."""
        @keep
        def generates(self): yield
plain(1)
if kept:
    @keep
    def twice(): return 1
else:
    def twice(): return 1
@keep
def twice(): return 2
try:
    @keep
    def guarded(): pass
finally:
    @keep
    def always(): pass
'''


def test_every_function_and_class_has_the_name_that_its_code_is_found_under() -> None:
    top = compile(SOURCE, "<named>", "exec", dont_inherit=True)
    namespace: dict[str, list[FunctionType | type]] = {}
    exec(top, namespace)
    named = names(top)
    for made in namespace["kept"]:
        if isinstance(made, FunctionType):
            assert named[made.__code__] == made.__qualname__
        else:
            assert made.__qualname__ in named.values()
    assert len(namespace["kept"]) == 15
    for other in gc.get_objects():  # lambdas
        if isinstance(other, FunctionType) and other.__code__.co_filename == "<named>":
            assert named[other.__code__] == other.__qualname__


def test_code_that_runs_is_named_by_its_file_and_by_its_own_name_where_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "named.py"
    path.write_text(SOURCE)
    namespace: dict[str, list[FunctionType | type]] = {}
    exec(compile(SOURCE, str(path), "exec", dont_inherit=True), namespace)
    functions = [made for made in namespace["kept"] if isinstance(made, FunctionType)]
    assert [qualname_of(function.__code__) for function in functions] == [it.__qualname__ for it in functions]
    gone = compile("def gone(): pass", str(tmp_path / "gone.py"), "exec", dont_inherit=True)
    assert [qualname_of(code) for code, _ in loaded_by(gone)] == ["gone"]


def test_a_module_with_thousands_of_constants_has_all_its_names() -> None:
    source = "".join(f"def f{number}():\n  class C:\n    def m(self): return {number}\n" for number in range(20_000))
    top = compile(source, "<long>", "exec", dont_inherit=True)
    assert [name for _, name in loaded_by(top)] == [f"f{number}" for number in range(20_000)]
    assert {name for code, _ in loaded_by(top) for name in names(code).values()} == {
        *(f"f{number}.<locals>.C" for number in range(20_000)),
        *(f"f{number}.<locals>.C.m" for number in range(20_000)),
    }


def test_what_the_compiler_dropped_is_not_loaded() -> None:
    top = compile("def f():\n  return 1\n  def g(): pass\nif 0:\n  def h(): pass\n", "<dropped>", "exec")
    assert list(names(top).values()) == ["f"]


def names(code: CodeType) -> dict[CodeType, str]:
    found: dict[CodeType, str] = {}
    for inner, name in loaded_by(code):
        found |= {inner: name} | names(inner)
    return found
