"""The revision of a source tree, in real git repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otel_coverage.revision import revision_of

_IDENTITY = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *_IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True, env=environment
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repository")


def make_repository(folder: Path) -> Path:
    (folder / "shop").mkdir(parents=True)
    (folder / "docs").mkdir()
    (folder / "shop" / "orders.py").write_text("x = 1\n")
    (folder / "docs" / "build.py").write_text("y = 1\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    environment = ("-c", "core.autocrlf=false")
    git(folder, *environment, "commit", "--quiet", "-m", "first", "--date", "2026-01-01T00:00:00Z")
    return folder


def test_a_clean_tree_has_its_commits_hash(repository: Path) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    assert revision_of([repository]) == revision_of([repository / "shop"]) == sha
    assert revision_of([str(repository / "shop" / "orders.py")]) == sha


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "shop" / "orders.py").write_text("x = 2\n"),
        lambda folder: (folder / "shop" / "orders.py").unlink(),
        lambda folder: (folder / "shop" / "new.py").write_text("x = 1\n"),
        lambda folder: (folder / "shop" / "sub [1]").mkdir() or (folder / "shop" / "sub [1]" / "ü.py").write_text(""),
    ],
    ids=["changed", "deleted", "unknown to git", "oddly named"],
)
def test_a_changed_tree_says_so_with_a_digest(repository: Path, change: object) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    change(repository)  # type: ignore[operator]
    revision = revision_of([repository / "shop"])
    assert revision is not None
    head, plus, digest = revision.partition("+dirty.")
    assert (head, plus, len(digest)) == (sha, "+dirty.", 12)
    assert int(digest, 16) >= 0
    assert revision_of([repository / "docs"]) == sha  # what changed elsewhere is another tree's affair


def test_only_python_files_make_a_tree_dirty(repository: Path) -> None:
    (repository / "shop" / "notes.txt").write_text("later")
    assert revision_of([repository]) == git(repository, "rev-parse", "HEAD")


def test_ignored_files_do_not_make_a_tree_dirty(repository: Path) -> None:
    (repository / ".git" / "info" / "exclude").write_text("generated.py\n")
    (repository / "shop" / "generated.py").write_text("x = 1\n")
    assert revision_of([repository]) == git(repository, "rev-parse", "HEAD")


def test_the_same_sources_have_the_same_revision_however_git_is_set_up(repository: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    git(tmp_path, "clone", "--quiet", str(repository), str(twin))
    for folder in (repository, twin):
        (folder / "shop" / "orders.py").write_text("x = 2\n")
        (folder / "shop" / "new.py").write_text("z = 1\n")
    git(twin, "add", ".")
    git(twin, "config", "diff.noprefix", "true")
    git(twin, "config", "color.ui", "always")
    git(twin, "config", "diff.context", "0")
    assert revision_of([repository]) == revision_of([twin])
    (twin / "shop" / "new.py").write_text("z = 2\n")
    assert revision_of([repository]) != revision_of([twin])


def test_it_does_not_depend_on_the_working_directory_or_on_a_running_hook(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "shop" / "orders.py").write_text("x = 2\n")
    before = revision_of([repository / "shop"])
    other = make_repository(tmp_path / "other")
    monkeypatch.chdir(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert revision_of([repository / "shop"]) == before


def test_there_is_none_without_git_a_commit_or_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    bare = tmp_path / "bare"
    bare.mkdir()
    assert revision_of([bare]) is None
    git(bare, "init", "--quiet")
    assert revision_of([bare]) is None
    assert revision_of([]) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision_of([make_folder(tmp_path / "unversioned")]) is None


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_an_installed_package_inside_a_work_tree_has_no_revision_of_it(repository: Path) -> None:
    (repository / ".gitignore").write_text("env/\n")
    package = repository / "env" / "lib" / "dash"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    assert revision_of([package]) is None
