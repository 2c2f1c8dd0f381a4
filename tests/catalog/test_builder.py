"""Catalogs of small sources."""

from __future__ import annotations

import warnings
from pathlib import Path
from textwrap import dedent

import pytest

from otel_coverage.catalog import Catalog, CatalogSymbol, build
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceTree


def catalog_of(folder: Path, source: str, name: str = "m.py") -> Catalog:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(source).lstrip("\n"), encoding="utf-8")
    return build(SourceTree([str(folder)]))


def lines_of(catalog: Catalog) -> dict[str, tuple[int, ...]]:
    """Executable lines by name, where a name comes once."""
    return {entry.symbol.qualname: entry.executable_lines for entry in catalog.symbols}


def only(catalog: Catalog) -> CatalogSymbol:
    assert len(catalog.symbols) == 1
    return catalog.symbols[0]


class TestDefinitions:
    def test_functions_and_classes_have_their_lines_and_their_class(self, tmp_path: Path) -> None:
        catalog = catalog_of(
            tmp_path,
            """
            import functools

            class Shop:
                class Order:
                    @property
                    def total(self):
                        return 1

                    @functools.cache
                    def shown(self):
                        def inner():
                            return 1
                        return inner

            async def close():
                pass
            """,
            "shop/orders.py",
        )
        assert [(entry.kind, entry.id, entry.end_line, entry.parent) for entry in catalog.symbols] == [
            ("class", "shop.orders:Shop@3", 13, ""),
            ("class", "shop.orders:Shop.Order@4", 13, "Shop"),
            ("function", "shop.orders:Shop.Order.total@5", 7, "Shop.Order"),
            ("function", "shop.orders:Shop.Order.shown@9", 13, "Shop.Order"),
            ("function", "shop.orders:Shop.Order.shown.<locals>.inner@11", 12, ""),
            ("function", "shop.orders:close@15", 16, ""),
        ]
        assert {entry.file for entry in catalog.symbols} == {"shop/orders.py"}

    def test_conditional_repeated_and_overloaded_definitions_are_told_apart_by_line(self, tmp_path: Path) -> None:
        catalog = catalog_of(
            tmp_path,
            """
            import sys
            if sys.platform == "win32":
                def clear(): return "cls"
            else:
                def clear(): return "clear"
            def again(): return 1
            def again(): return 2
            class Order:
                @property
                def total(self): return 1
                @total.setter
                def total(self, value): self.x = value
            class Order:
                def total(self): return 3
            """,
        )
        assert [entry.id for entry in catalog.symbols] == [
            "m:clear@3",
            "m:clear@5",
            "m:again@6",
            "m:again@7",
            "m:Order@8",
            "m:Order.total@9",
            "m:Order.total@11",
            "m:Order@13",
            "m:Order.total@14",
        ]

    def test_definitions_that_the_compiler_drops_are_left_out(self, tmp_path: Path) -> None:
        catalog = catalog_of(
            tmp_path,
            """
            if False:
                def never(): return 1
            while 0:
                class Never:
                    def method(self): return 1
            if __debug__:
                def in_debug(): return 1
            def early():
                return 1
                def late(): return 2
            """,
        )
        assert [entry.id for entry in catalog.symbols] == ["m:in_debug@7", "m:early@8"]

    def test_lambdas_comprehensions_and_bodies_of_modules_are_left_out(self, tmp_path: Path) -> None:
        assert catalog_of(tmp_path, "double = lambda x: [y for y in (x, x)]\nprint(double)\n").symbols == ()

    @pytest.mark.since(3, 12)
    def test_type_parameters_change_no_name_and_add_none(self, tmp_path: Path) -> None:
        catalog = catalog_of(
            tmp_path,
            """
            type Alias = int
            class Order[T: int]:
                type Rows = list[T]
                def total[N: (int, float)](self) -> N:
                    def total[T: int](): return 1
                    return total()
            def total[total: int](): return 1
            """,
        )
        assert [(entry.id, entry.parent) for entry in catalog.symbols] == [
            ("m:Order@2", ""),
            ("m:Order.total@4", "Order"),
            ("m:Order.total.<locals>.total@5", ""),
            ("m:total@7", ""),
        ]

    def test_a_source_with_future_annotations_is_compiled_as_it_would_be_imported(self, tmp_path: Path) -> None:
        source = "from __future__ import annotations\ndef f(x: no.such.name) -> nothing: return 1\n"
        assert only(catalog_of(tmp_path, source)).id == "m:f@2"

    def test_warnings_about_the_source_are_suppressed(self, tmp_path: Path) -> None:
        source = 'def f():\n    """A backslash: \\d"""\n    return "x" is 1\n'
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert only(catalog_of(tmp_path, source)).id == "m:f@1"


class TestFiles:
    def test_packages_namespace_packages_and_src_layouts_are_named_as_they_are_imported(self, tmp_path: Path) -> None:
        for name in ("src/shop/__init__.py", "src/shop/jobs/work.py", "app.py"):
            catalog = catalog_of(tmp_path, "def f(): return 1\n", name)
        assert [entry.id for entry in catalog.symbols] == ["app:f@1", "shop:f@1", "shop.jobs.work:f@1"]

    @pytest.mark.parametrize(
        "source",
        [
            "# -*- coding: latin-1 -*-\ndef prüfe(): return 'ß'\n".encode("latin-1"),
            "\ufeffdef prüfe(): return 'ß'\n".encode(),
            "# vim: set fileencoding=cp1252 :\r\ndef prüfe(): return '€'\r\n".encode("cp1252"),
        ],
        ids=["latin-1", "byte order mark", "cp1252, carriage returns"],
    )
    def test_a_file_is_read_in_the_encoding_that_it_declares(self, tmp_path: Path, source: bytes) -> None:
        (tmp_path / "m.py").write_bytes(source)
        entry = only(build(SourceTree([str(tmp_path)])))
        assert (entry.symbol.qualname, entry.executable_lines) == ("prüfe", (entry.symbol.line,))

    def test_executable_lines_of_a_file_are_coverages_statements(self, tmp_path: Path) -> None:
        catalog = catalog_of(tmp_path, "x = (\n  1)\n\ndef f():\n    '''doc'''\n    return 1\n")
        assert [(file.path, file.module, file.executable_lines) for file in catalog.files] == [("m.py", "m", (1, 4, 6))]

    def test_a_file_that_changed_is_read_again(self, tmp_path: Path) -> None:
        assert lines_of(catalog_of(tmp_path, "def one(): return 1\nx = 1  # something longer\n")) == {"one": (1,)}
        catalog = catalog_of(tmp_path, "x = 1\ndef two():\n    return 2\ndef three(): return 3\n")
        assert lines_of(catalog) == {"two": (3,), "three": (4,)}
        catalog = catalog_of(tmp_path, "x = 1\ndef four(): return 4\n\ny = 'no longer a def'\n")
        assert lines_of(catalog) == {"four": (2,)}

    def test_the_order_does_not_depend_on_the_file_system(self, tmp_path: Path) -> None:
        for name in ("b.py", "a.py", "a/x.py"):
            catalog = catalog_of(tmp_path, "def g(): return 1\ndef f(): return 1\n", name)
        assert [entry.id for entry in catalog.symbols] == ["a:g@1", "a:f@2", "a.x:g@1", "a.x:f@2", "b:g@1", "b:f@2"]
        assert [file.path for file in catalog.files] == ["a.py", "a/x.py", "b.py"]


class TestExecutableLines:
    def test_decorator_and_def_lines_belong_to_the_enclosing_scope(self, tmp_path: Path) -> None:
        catalog = catalog_of(
            tmp_path,
            """
            import functools

            @functools.cache
            def outer(
                a=1,
            ):
                x = 1
                @functools.cache
                def inner():
                    return x
                return inner
            """,
        )
        assert lines_of(catalog) == {"outer": (7, 8, 9, 11), "outer.<locals>.inner": (10,)}

    def test_a_body_on_the_def_line_belongs_to_the_function_and_to_the_enclosing_scope(self, tmp_path: Path) -> None:
        source = """
            def outer():
                def inner(): return 1
                return inner
            def spread(a,
                       b): return 2
            """
        assert lines_of(catalog_of(tmp_path, source)) == {
            "outer": (2, 3), "outer.<locals>.inner": (2,), "spread": (4,),
        }  # fmt: skip

    def test_docstrings_and_continuation_lines_are_not_statements(self, tmp_path: Path) -> None:
        source = '''
            def f():
                """Two
                lines."""
                x = [
                    1,
                ]
                return x
            def g():
                """Nothing else."""
            '''
        assert lines_of(catalog_of(tmp_path, source)) == {"f": (4, 7), "g": ()}

    def test_the_lines_of_a_class_exclude_those_of_its_functions(self, tmp_path: Path) -> None:
        source = """
            def make():
                class Order:
                    rate = 1
                    def total(self):
                        return self.rate
                return Order
            """
        assert lines_of(catalog_of(tmp_path, source)) == {
            "make": (2, 3, 4, 6), "make.<locals>.Order": (3, 4), "make.<locals>.Order.total": (5,),
        }  # fmt: skip

    def test_a_lambdas_line_belongs_to_its_function(self, tmp_path: Path) -> None:
        source = "def f():\n    g = lambda: 1\n    return [\n        g() for _ in ()\n    ]\n"
        assert lines_of(catalog_of(tmp_path, source)) == {"f": (2, 3)}


class TestExcluded:
    def test_functions_and_classes_that_coverage_excludes_are_marked(self, tmp_path: Path) -> None:
        catalog = catalog_of(
            tmp_path,
            """
            import functools
            def counted():
                if x:  # pragma: no cover
                    return 1
                return 2
            def by_def():  # pragma: no cover
                return 1
            @functools.cache  # pragma: no cover
            def by_decorator():
                return 1
            def by_body():
                raise NotImplementedError  # pragma: no cover
            class Whole:  # pragma: no cover
                def method(self):
                    return 1
            def only_a_docstring():
                "Can be called, and then counts."
            """,
        )
        excluded = {entry.symbol.qualname for entry in catalog.symbols if entry.excluded}
        assert excluded == {"by_def", "by_decorator", "by_body", "Whole", "Whole.method"}
        assert lines_of(catalog)["counted"] == (5,)
        assert not any(entry.executable_lines for entry in catalog.symbols if entry.excluded)

    def test_exclude_lines_of_coverages_configuration_apply(self, tmp_path: Path) -> None:
        (tmp_path / "m.py").write_text(
            "def debug_only():\n    return 1\ndef other():  # pragma: no cover\n    return 2\n"
        )
        rcfile = tmp_path / "rc.ini"
        rcfile.write_text("[report]\nexclude_lines =\n    def debug_\n")
        catalog = build(SourceTree.from_rcfile([str(tmp_path)], str(rcfile)))
        assert {entry.symbol.qualname: entry.excluded for entry in catalog.symbols} == {
            "debug_only": True, "other": False,
        }  # fmt: skip

    def test_the_error_for_an_invalid_configuration_names_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "m.py").write_text("def f():\n    return 1\n")
        rcfile = tmp_path / "rc.ini"
        rcfile.write_text("[report]\nexclude_lines =\n    (unclosed\n")
        with pytest.raises(ConfigurationError, match=r"rc\.ini"):
            build(SourceTree.from_rcfile([str(tmp_path)], str(rcfile)))


class TestErrors:
    @pytest.mark.parametrize(
        ("source", "line"),
        [
            (b"x = 1\ndef f(:\n    pass\n", 2),
            (b"def f():\nreturn 1\n", 2),
            (b"# coding: no-such-encoding\nx = 1\n", 1),
            (b"x = '\xff'\n", 1),
            (b"x = 1\n\0\n", 1),
            (b"def f():\n    yield 1\nawait = 3\n", 3),
            (b"x = " + b"(" * 1000 + b")" * 1000 + b"\n", 1),
        ],
        ids=["syntax", "indentation", "unknown encoding", "wrong encoding", "null byte", "keyword", "too deep"],
    )
    def test_a_file_that_cannot_be_compiled_is_reported_and_skipped(
        self, tmp_path: Path, source: bytes, line: int
    ) -> None:
        (tmp_path / "broken.py").write_bytes(source)
        catalog = catalog_of(tmp_path, "def f(): return 1\n", "fine.py")
        assert [entry.id for entry in catalog.symbols] == ["fine:f@1"]
        assert [file.path for file in catalog.files] == ["fine.py"]
        [error] = catalog.errors
        assert error.file == "broken.py"
        assert str(error).startswith(f"broken.py:{line}: ")
        assert "\n" not in str(error)

    def test_of_two_files_with_one_module_name_the_second_is_reported_and_skipped(self, tmp_path: Path) -> None:
        for service in ("web", "worker"):
            (tmp_path / service).mkdir()
            (tmp_path / service / "app.py").write_text(f"def {service}(): return 1\n")
        catalog = build(SourceTree([str(tmp_path / "web"), str(tmp_path / "worker")]))
        assert only(catalog).id == "app:web@1"
        [error] = catalog.errors
        assert "already defines module app" in str(error)

    def test_an_unreadable_file_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
        catalog = catalog_of(tmp_path, "def f(): return 1\n")
        assert [error.file for error in catalog.errors] == ["nowhere.py"]
        assert only(catalog).id == "m:f@1"


def test_building_runs_nothing_of_the_source(tmp_path: Path) -> None:
    source = f"open({str(tmp_path / 'evidence')!r}, 'w').close()\ndef f(): return 1\n"
    assert only(catalog_of(tmp_path, source)).id == "m:f@2"
    assert not (tmp_path / "evidence").exists()
