"""The revision of a source tree, in real git repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otel_coverage.revision import revision_of

_IDENTITY = (
    *("-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"),
    *("-c", "protocol.file.allow=always"),
)


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


def test_files_that_git_was_told_not_to_look_at_make_a_tree_dirty(repository: Path) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    found = set()
    for option in ("assume-unchanged", "skip-worktree"):
        git(repository, "update-index", f"--{option}", "shop/orders.py")
        assert revision_of([repository]) == sha
        (repository / "shop" / "orders.py").write_text("x = 2\n")
        found.add(revision_of([repository]))
        (repository / "shop" / "orders.py").write_text("x = 1\n")
        git(repository, "update-index", f"--no-{option}", "shop/orders.py")
    (repository / "shop" / "orders.py").write_text("x = 2\n")
    found.add(revision_of([repository]))
    assert len(found) == 1
    assert "+dirty." in str(found)


def test_what_a_sparse_checkout_leaves_out_is_no_difference(repository: Path) -> None:
    git(repository, "sparse-checkout", "set", "docs")
    assert not (repository / "shop").exists()
    assert revision_of([repository]) == git(repository, "rev-parse", "HEAD")


def test_the_mode_of_a_file_is_no_difference(repository: Path) -> None:
    (repository / "shop" / "orders.py").chmod(0o755)
    assert git(repository, "status", "--porcelain") == "M shop/orders.py"
    assert revision_of([repository]) == git(repository, "rev-parse", "HEAD")


def test_a_change_that_is_staged_and_undone_in_the_folder_is_no_difference(repository: Path) -> None:
    (repository / "shop" / "orders.py").write_text("x = 2\n")
    git(repository, "add", ".")
    assert "+dirty." in str(revision_of([repository]))
    (repository / "shop" / "orders.py").write_text("x = 1\n")
    assert revision_of([repository]) == git(repository, "rev-parse", "HEAD")


def test_line_ends_that_git_converts_are_no_difference(repository: Path) -> None:
    git(repository, "config", "core.autocrlf", "true")
    git(repository, "update-index", "--assume-unchanged", "shop/orders.py")
    (repository / "shop" / "orders.py").write_bytes(b"x = 1\r\n")
    assert revision_of([repository]) == git(repository, "rev-parse", "HEAD")


def test_files_in_folders_that_never_hold_the_applications_own_are_no_difference(repository: Path) -> None:
    for folder in (".tox", "node_modules", "venv/lib/site-packages"):
        (repository / "shop" / folder).mkdir(parents=True)
        (repository / "shop" / folder / "x.py").write_text("")
    assert revision_of([repository]) == git(repository, "rev-parse", "HEAD")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = make_folder(tmp_path / "library")
    (folder / "prices.py").write_text("p = 1\n")
    (folder / "README").write_text("")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def test_a_submodule_is_compared_with_the_commit_that_the_outer_one_names(repository: Path, library: Path) -> None:
    git(repository, "submodule", "--quiet", "add", str(library), "shop/library")
    git(repository, "commit", "--quiet", "-m", "with a library")
    sha = git(repository, "rev-parse", "HEAD")
    inner = repository / "shop" / "library"
    assert revision_of([repository]) == revision_of([repository / "shop"]) == sha
    (inner / "README").write_text("more")
    git(inner, "commit", "--quiet", "-am", "no Python file")
    assert revision_of([repository]) == sha
    (inner / "prices.py").write_text("p = 2\n")
    edited = revision_of([repository])
    assert str(edited).startswith(f"{sha}+dirty.")
    assert revision_of([repository / "docs"]) == sha
    git(inner, "commit", "--quiet", "-am", "second")
    assert revision_of([repository]) == edited  # the same sources
    git(repository, "submodule", "--quiet", "update")
    assert revision_of([repository]) == sha
    git(repository, "submodule", "--quiet", "deinit", "--force", "--all")
    assert revision_of([repository]) == sha  # what is not here is not compiled


@pytest.mark.parametrize("is_ignored", [False, True], ids=["unknown to git", "ignored"])
def test_another_repository_below_the_source_belongs_to_the_revision(
    repository: Path, library: Path, is_ignored: bool
) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    inner = repository / "shop" / "vendor"
    if is_ignored:
        (repository / ".git" / "info" / "exclude").write_text("vendor/\n")
    git(repository, "clone", "--quiet", str(library), str(inner))
    found = [revision_of([repository])]
    assert str(found[0]).startswith(f"{sha}+dirty.")
    git(inner, "commit", "--quiet", "--allow-empty", "-m", "the same sources")
    assert revision_of([repository]) == found[0]
    (inner / "prices.py").write_text("p = 2\n")
    found.append(revision_of([repository]))
    (inner / "taxes.py").write_text("")
    found.append(revision_of([repository]))
    assert len(set(found)) == 3
    assert revision_of([repository / "docs"]) == sha


def test_sources_outside_of_the_repository_belong_to_the_revision(
    repository: Path, library: Path, tmp_path: Path
) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    plain = make_folder(tmp_path / "plain")
    for outside, name in ((library, "prices.py"), (plain, "taxes.py")):
        (outside / name).write_text("t = 1\n")
        before = revision_of([repository, outside])
        (outside / name).write_text("t = 2\n")
        after = revision_of([repository, outside])
        assert str(before).startswith(f"{sha}+dirty.")
        assert str(after).startswith(f"{sha}+dirty.")
        assert before != after


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


def test_an_installed_package_that_is_named_as_source_belongs_to_the_revision_of_the_rest(repository: Path) -> None:
    (repository / ".gitignore").write_text("env/\n")
    package = repository / "env" / "lib" / "dash"
    package.mkdir(parents=True)
    found = set()
    for text in ("x = 1\n", "x = 2\n"):
        (package / "__init__.py").write_text(text)
        found.add(revision_of([package, repository / "shop"]))
    assert len(found) == 2
    assert all(str(each).startswith(f"{git(repository, 'rev-parse', 'HEAD')}+dirty.") for each in found)
