"""Which files are the application's own, and what they are called."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from otel_coverage.catalog import build
from otel_coverage.coveragepy import wants_branches
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceTree

PLUGIN = """
import coverage

class Defaults(coverage.CoveragePlugin):
    def configure(self, config):
        config.set_option("run:source", ["shop"])
        config.set_option("run:omit", ["*/slow.py"])
        config.set_option("run:branch", True)
        config.set_option("report:exclude_lines", ["debug"])

def coverage_init(registry, options):
    registry.add_configurer(Defaults())
"""


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return folder


def modules(tree: SourceTree) -> dict[str, str]:
    return {file.path: file.module for file in tree.files()}


class TestNames:
    def test_a_modules_name_is_its_path_below_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(make(tmp_path, "app.py", "shop/__init__.py", "shop/orders.py", "shop/web/views.py"))
        assert modules(SourceTree()) == {
            "app.py": "app",
            "shop/__init__.py": "shop",
            "shop/orders.py": "shop.orders",
            "shop/web/views.py": "shop.web.views",
        }

    @pytest.mark.parametrize("source", [".", "src", "src/shop"])
    def test_a_src_layout_has_the_names_that_imports_have(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
    ) -> None:
        monkeypatch.chdir(make(tmp_path, "src/shop/__init__.py", "src/shop/orders.py"))
        assert modules(SourceTree([source])) == {"shop/__init__.py": "shop", "shop/orders.py": "shop.orders"}

    def test_a_package_that_is_called_src_keeps_its_name(self, tmp_path: Path) -> None:
        make(tmp_path, "src/__init__.py", "src/orders.py")
        assert modules(SourceTree([str(tmp_path)])) == {"src/__init__.py": "src", "src/orders.py": "src.orders"}

    def test_a_folder_inside_a_package_keeps_the_packages_name(self, tmp_path: Path) -> None:
        make(tmp_path, "shop/__init__.py", "shop/web/__init__.py", "shop/web/views.py", "shop/jobs.py")
        assert modules(SourceTree([str(tmp_path / "shop" / "web")])) == {
            "shop/web/__init__.py": "shop.web",
            "shop/web/views.py": "shop.web.views",
        }

    def test_a_single_file_is_a_source(self, tmp_path: Path) -> None:
        make(tmp_path, "shop/__init__.py", "shop/jobs.py", "shop/orders.py")
        assert modules(SourceTree([str(tmp_path / "shop" / "jobs.py")])) == {"shop/jobs.py": "shop.jobs"}

    def test_a_package_is_found_by_its_name_and_not_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "elsewhere/boutique/__init__.py", "elsewhere/boutique/orders.py")
        (tmp_path / "elsewhere/boutique/__init__.py").write_text("raise RuntimeError('imported')\n")
        monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
        monkeypatch.chdir(tmp_path)
        expected = {"boutique/__init__.py": "boutique", "boutique/orders.py": "boutique.orders"}
        assert modules(SourceTree(["boutique"])) == expected
        assert modules(SourceTree(["boutique.orders"])) == {"boutique/orders.py": "boutique.orders"}

    def test_a_namespace_package_is_found_by_its_dotted_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "elsewhere/space/boutique/__init__.py")
        monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
        monkeypatch.chdir(tmp_path)
        assert modules(SourceTree(["space.boutique"])) == {"space/boutique/__init__.py": "space.boutique"}

    def test_a_package_that_is_installed_editable_by_a_finder_is_found_by_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The finder is the one that setuptools writes into site-packages."""
        make(tmp_path, "project/shop/__init__.py", "project/shop/web/__init__.py", "project/shop/web/views.py")
        from setuptools.command.editable_wheel import _finder_template  # type: ignore[import-untyped]

        text = _finder_template("shop-0.1", {"shop": str(tmp_path / "project" / "shop")}, {})
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "__editable___shop_0_1_finder.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
        monkeypatch.setattr(sys, "path_hooks", list(sys.path_hooks))
        monkeypatch.chdir(tmp_path / "site")
        importlib.import_module("__editable___shop_0_1_finder").install()
        assert modules(SourceTree(["shop"])) == {
            "shop/__init__.py": "shop",
            "shop/web/__init__.py": "shop.web",
            "shop/web/views.py": "shop.web.views",
        }
        assert modules(SourceTree(["shop.web"])) == {
            "shop/web/__init__.py": "shop.web",
            "shop/web/views.py": "shop.web.views",
        }
        assert "shop" not in sys.modules

    def test_bytes_of_a_name_that_are_not_utf_8_are_written_out(self, tmp_path: Path) -> None:
        make(tmp_path, os.fsdecode(b"caf\xe9/th\xe9.py"), "thé.py")
        assert modules(SourceTree([str(tmp_path)])) == {
            "caf\\udce9/th\\udce9.py": "caf\\udce9.th\\udce9",
            "thé.py": "thé",
        }

    def test_a_symbolic_link_does_not_change_a_name(self, tmp_path: Path) -> None:
        make(tmp_path, "real/shop/__init__.py")
        os.symlink(tmp_path / "real", tmp_path / "link")
        tree = SourceTree([str(tmp_path / "link")])
        through_link, direct = (tree.locate(str(tmp_path / way / "shop/__init__.py")) for way in ("link", "real"))
        assert through_link == direct
        assert direct is not None
        assert direct.module == "shop"


class TestSwitchedLinks:
    @pytest.mark.parametrize("source", ["current", "current/shop", "shop"])
    def test_a_tree_follows_a_link_and_keeps_what_it_led_to_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
    ) -> None:
        for release in ("releases/7", "releases/8"):
            make(tmp_path / release, "shop/__init__.py", f"shop/of_{release[-1]}.py")
        (tmp_path / "current").symlink_to("releases/7")
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path / "current"))
        tree = SourceTree([source])
        assert list(modules(tree)) == ["shop/__init__.py", "shop/of_7.py"]
        (tmp_path / "current").unlink()
        (tmp_path / "current").symlink_to("releases/8")
        file = tree.locate(str(tmp_path / "current" / "shop" / "of_8.py"))
        assert file is not None
        assert (file.module, file.filename) == ("shop.of_8", str(tmp_path / "releases" / "8" / "shop" / "of_8.py"))
        assert tree.locate(str(tmp_path / "releases" / "7" / "shop" / "of_7.py")) is not None
        assert list(modules(tree)) == ["shop/__init__.py", "shop/of_8.py"]

    def test_a_tree_whose_folder_is_gone_keeps_its_names(self, tmp_path: Path) -> None:
        make(tmp_path, "shop/orders.py")
        tree = SourceTree([str(tmp_path / "shop")])
        (tmp_path / "shop").rename(tmp_path / "gone")
        assert tree.locate(str(tmp_path / "shop" / "orders.py")) is not None


class TestWhatBelongs:
    def test_installed_hidden_and_generated_files_do_not(self, tmp_path: Path) -> None:
        make(
            tmp_path,
            "shop.py",
            "notes.txt",
            ".hidden/a.py",
            "lib/site-packages/b.py",
            "__pycache__/c.py",
            "web/node_modules/d.py",
            "env/pyvenv.cfg",
            "env/src/e.py",
        )
        tree = SourceTree([str(tmp_path)])
        assert modules(tree) == {"shop.py": "shop"}
        for foreign in (".hidden/a.py", "lib/site-packages/b.py", "env/src/e.py", "notes.txt"):
            assert tree.locate(str(tmp_path / foreign)) is None

    def test_an_installed_package_does_when_it_is_named_whatever_else_is(self, tmp_path: Path) -> None:
        make(tmp_path, "shop.py", "env/pyvenv.cfg", "env/lib/site-packages/dash/__init__.py")
        tree = SourceTree([str(tmp_path), str(tmp_path / "env/lib/site-packages/dash")])
        assert modules(tree) == {"shop.py": "shop", "dash/__init__.py": "dash"}

    def test_a_neighbour_whose_name_begins_the_same_does_not(self, tmp_path: Path) -> None:
        make(tmp_path, "shop/a.py", "shopping/b.py")
        tree = SourceTree([str(tmp_path / "shop")])
        assert tree.locate(str(tmp_path / "shopping/b.py")) is None

    @pytest.mark.parametrize("name", ["<string>", "<frozen importlib._bootstrap>", "", "<attrs generated init>.py"])
    def test_code_without_a_file_does_not(self, tmp_path: Path, name: str) -> None:
        assert SourceTree([str(tmp_path)]).locate(name) is None

    def test_each_file_comes_once_when_sources_overlap(self, tmp_path: Path) -> None:
        make(tmp_path, "shop/__init__.py", "shop/a.py")
        tree = SourceTree([str(tmp_path), str(tmp_path / "shop")])
        assert [file.path for file in tree.files()] == ["shop/__init__.py", "shop/a.py"]

    def test_a_source_that_matches_no_file_is_an_error(self, tmp_path: Path) -> None:
        make(tmp_path, "README.txt")
        with pytest.raises(ConfigurationError, match="no Python file matches"):
            list(SourceTree([str(tmp_path)]).files())

    def test_a_source_that_is_nothing_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for nothing in ("no_such_package", "no/such/folder", "json.no_such"):
            with pytest.raises(
                ConfigurationError,
                match=r"^OTEL_COVERAGE_SOURCE: .* neither a folder or file in .* nor an importable package",
            ):
                SourceTree([nothing])


class TestACoverageConfiguration:
    def rcfile(self, folder: Path, text: str) -> str:
        path = folder / "settings.ini"
        path.write_text(text)
        return str(path)

    def test_chooses_the_source_and_omits_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(make(tmp_path, "shop/a.py", "shop/migrations/b.py", "other/c.py"))
        rcfile = self.rcfile(tmp_path, "[run]\nsource = shop\nomit = */migrations/*\n")
        tree = SourceTree.from_rcfile(rcfile=rcfile)
        assert modules(tree) == {"a.py": "a"}
        assert tree.locate(str(tmp_path / "shop/migrations/b.py")) is None
        assert tree.rcfile == rcfile

    def test_gives_way_to_a_source_that_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(make(tmp_path, "shop/a.py", "other/c.py", "other/d.py"))
        rcfile = self.rcfile(tmp_path, "[run]\nsource = shop\nomit = */d.py\n")
        assert modules(SourceTree.from_rcfile(["other"], rcfile)) == {"c.py": "c"}

    def test_includes_files_only_where_there_is_no_source_as_coverage_does(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(make(tmp_path, "shop/a.py", "other/c.py"))
        rcfile = self.rcfile(tmp_path, "[run]\ninclude = shop/*\n")
        assert modules(SourceTree.from_rcfile(rcfile=rcfile)) == {"shop/a.py": "shop.a"}
        assert modules(SourceTree.from_rcfile(["other"], rcfile)) == {"c.py": "c"}

    def test_names_packages(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(make(tmp_path, "elsewhere/boutique/__init__.py"))
        monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
        rcfile = self.rcfile(tmp_path, "[run]\nsource_pkgs = boutique\n")
        assert modules(SourceTree.from_rcfile(rcfile=rcfile)) == {"boutique/__init__.py": "boutique"}

    def test_that_is_missing_or_broken_is_an_error_of_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no such file"):
            SourceTree.from_rcfile(rcfile=str(tmp_path / "missing.ini"))
        with pytest.raises(ConfigurationError, match=r"settings\.ini"):
            SourceTree.from_rcfile(rcfile=self.rcfile(tmp_path, "[run\n"))

    def test_is_asked_after_its_plug_ins_have_set_their_options(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As covdefaults does."""
        monkeypatch.chdir(make(tmp_path, "shop/orders.py", "shop/slow.py", "tools/build.py"))
        (tmp_path / "our_defaults.py").write_text(PLUGIN)
        (tmp_path / ".coveragerc").write_text("[run]\nplugins = our_defaults\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        tree = SourceTree.from_rcfile(rcfile=".coveragerc")
        assert modules(tree) == {"orders.py": "orders"}
        assert wants_branches(".coveragerc")
        (tmp_path / "shop" / "orders.py").write_text("def f():\n    debug()\n    return 1\n")
        (symbol,) = build(tree).symbols
        assert symbol.executable_lines == (3,)

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("", "didn't define a coverage_init function"),
            ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("def coverage_init(registry, options): 1 / 0\n", "ZeroDivisionError"),
        ],
    )
    def test_with_a_plug_in_that_fails_is_an_error_that_names_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, what: str
    ) -> None:
        monkeypatch.syspath_prepend(str(tmp_path))
        (tmp_path / "failing_plugin.py").write_text(text)
        (tmp_path / "rc").write_text("[run]\nplugins = failing_plugin\n")
        with pytest.raises(ConfigurationError) as error:
            SourceTree.from_rcfile(rcfile=str(tmp_path / "rc"))
        sys.modules.pop("failing_plugin", None)
        assert str(error.value).startswith(f"OTEL_COVERAGE_RCFILE: {tmp_path / 'rc'}: ")
        assert "failing_plugin" in str(error.value)
        assert what in str(error.value)
        assert "\n" not in str(error.value)
