"""Where the source of a report is, and whether it is what ran."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.contents import Contents
from otel_coverage.reporting.profiles.sources import Sources
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.project import SPANS, fill
from tests.support.spans import insert_spans

FILES = ("shop/jobs.py", "shop/orders.py")


def edit(tree: SourceTree, old: str, new: str, file: str = "shop/orders.py") -> None:
    path = Path(tree.roots[0].folder, file)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "differing"),
    [
        ("RATE = 1", "RATE = 2", ()),  # outside of functions, where nothing is shown
        ("return 0", "return 1", ("shop/orders.py",)),
        ("RATE = 1", "RATE = 1\n", ("shop/orders.py",)),  # all lines below are others
        ("def cancel", "def refuse", ("shop/orders.py",)),
        ("class Empty", "class (Empty", ("shop/orders.py",)),  # which nobody can read
    ],
)
def test_the_catalog_tells_which_files_are_not_what_ran(
    store: Store, tree: SourceTree, old: str, new: str, differing: tuple[str, ...]
) -> None:
    fill(store, tree)
    edit(tree, old, new)
    assert Sources.of_tree(tree).differing(select_revision(store), FILES) == differing


def test_a_commit_tells_it_without_a_catalog(store: Store, tree: SourceTree) -> None:
    folder = Path(tree.roots[0].folder)
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    commit = head.stdout.strip()
    insert_spans(store, *(span.but(revision=commit) for span in SPANS))
    sources = Sources.of_tree(tree)
    assert sources.differing(select_revision(store), FILES) == ()
    edit(tree, "RATE = 1", "RATE = 2")
    assert sources.differing(select_revision(store), FILES) == ("shop/orders.py",)


def test_without_both_nobody_knows(store: Store, tree: SourceTree) -> None:
    insert_spans(store, *SPANS)
    assert Sources.of_tree(tree).differing(select_revision(store), FILES) is None


def test_what_is_not_what_ran_is_named_and_not_coloured(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    fill(store, tree)
    edit(tree, "RATE = 1", "RATE = 1\n")
    report = write_report(select_revision(store), tree, tmp_path / "out", contents=Contents(html=True))
    pages = [page.name for page in (report.out / "html").glob("z_*.html")]
    assert len(pages) == 1
    assert pages[0].endswith("jobs_py.html")
    assert "browse/html/" not in report.files  # it reached no other file
    said = "The source here is not what ran at this revision, so coverage.py does not show it, of these files"
    assert f"{said}: 'shop/orders.py'." in report.notes
    assert said in (report.out / "summary.md").read_text()


class TestNames:
    def test_are_below_the_folder_that_is_named(self, tree: SourceTree, tmp_path: Path) -> None:
        assert Sources.of_tree(tree, tmp_path).names["shop/jobs.py"] == "project/shop/jobs.py"

    def test_are_below_the_working_directory_where_all_of_the_source_is(
        self, tree: SourceTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert Sources.of_tree(tree).names["shop/jobs.py"] == "shop/jobs.py"
        monkeypatch.chdir(tmp_path)
        assert Sources.of_tree(tree).names["shop/jobs.py"] == "project/shop/jobs.py"

    def test_have_to_be_below_it(self, tree: SourceTree, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        with pytest.raises(ConfigurationError, match=r"--source-root .*: the source's .* is not below it"):
            Sources.of_tree(tree, tmp_path / "elsewhere")

    def test_of_a_catalog_are_found_in_a_checkout_with_its_modules_in_src(self, tmp_path: Path) -> None:
        for name in ("src/shop/jobs.py", "lib.py"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")
        sources = Sources.of_paths(["shop/jobs.py", "lib.py", "shop/gone.py", "../lib.py"], tmp_path)
        assert sources.names == {
            "shop/jobs.py": "src/shop/jobs.py",
            "lib.py": "lib.py",
            "shop/gone.py": "shop/gone.py",
            "../lib.py": "../lib.py",
        }
        assert sorted(sources.files) == ["lib.py", "shop/jobs.py"]

    def test_of_other_places_are_the_sources_as_paths_in_the_configuration_says(
        self, tree: SourceTree, tmp_path: Path
    ) -> None:
        (tmp_path / "rc").write_text("[paths]\nsource =\n    shop\n    /srv/app/shop\n    */image/shop\n")
        sources = Sources.of_tree(SourceTree([tree.roots[0].folder], rcfile=str(tmp_path / "rc")))
        recorded = ["shop/jobs.py", "srv/app/shop/jobs.py", "opt/image/shop/jobs.py", "other/shop/jobs.py"]
        found = {path: sources.path_of(path) for path in (*recorded, "srv/app/shop/gone.py")}
        assert found == {**dict.fromkeys(recorded[:3], "shop/jobs.py"), recorded[3]: None, "srv/app/shop/gone.py": None}
