"""What git says differs, whatever names files have, and however the repository was cloned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.impact.differing import WorkTree, differing
from tests.impact.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "project")
    made.write("shop/orders.py", "def place():\n    return 1\n" * 5)
    made.write("shop/old.py", "X = 1\n" * 20)
    made.commit()
    return made


def found(repository: Repository, old: str, new: str = "") -> list[tuple[str, str, str]]:
    return [(each.status, each.former, each.path) for each in differing(repository.folder, old, new)]


def test_staged_unstaged_untracked_renamed_and_deleted_files_differ(repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.write("shop/orders.py", "def place():\n    return 2\n" * 5)
    repository.write("shop/new.py", "staged = 1\n")
    repository.git("add", "shop/new.py")
    repository.write("shop/unknown.py", "x = 1\n")
    repository.git("mv", "shop/old.py", "shop/renamed.py")
    assert found(repository, base) == [
        ("added", "shop/new.py", "shop/new.py"),
        ("modified", "shop/orders.py", "shop/orders.py"),
        ("renamed", "shop/old.py", "shop/renamed.py"),
        ("added", "shop/unknown.py", "shop/unknown.py"),
    ]
    head = repository.commit()
    assert found(repository, base, head) == found(repository, base)
    (change,) = [each for each in differing(repository.folder, base) if each.path == "shop/orders.py"]
    assert change.before() == b"def place():\n    return 1\n" * 5
    assert change.after() == b"def place():\n    return 2\n" * 5


@pytest.mark.parametrize("name", ["--output=x.py", "a b\n'\".py", ":(glob)*.py", "-", "é\\x.py", "$(touch pwned).py"])
def test_a_hostile_name_is_a_name(repository: Repository, name: str) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.write(name, "x = 1\n")
    assert found(repository, base) == [("added", name, name)]
    repository.commit()
    assert found(repository, base) == [("added", name, name)]
    (change,) = differing(repository.folder, base)
    assert change.after() == b"x = 1\n"
    assert sorted(os.listdir(repository.folder)) == sorted([".git", "shop", name])


def test_a_base_that_looks_like_an_option_is_no_option(repository: Repository) -> None:
    with pytest.raises(ConfigurationError, match="git knows no commit '--output=pwned'"):
        WorkTree.at(repository.folder).commit("--output=pwned")
    assert not (repository.folder / "pwned").exists()


def test_a_file_that_git_was_told_to_take_for_unchanged_differs(repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--assume-unchanged", "shop/orders.py")
    assert found(repository, base) == []
    repository.write("shop/orders.py", "X = 1\n")
    assert found(repository, base) == [("modified", "shop/orders.py", "shop/orders.py")]


def test_the_users_configuration_makes_no_difference(repository: Repository) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.write("shop/orders.py", "X = 1\n")
    for setting in ("diff.renames=false", "diff.noprefix=true", "color.ui=always", "diff.external=false"):
        repository.git("config", *setting.split("="))
    repository.git("mv", "shop/old.py", "shop/renamed.py")
    assert [status for status, _, _ in found(repository, base)] == ["modified", "renamed"]


def test_the_base_is_where_the_branch_left_the_other(repository: Repository) -> None:
    left = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-b", "feature")
    repository.write("shop/orders.py", "X = 1\n")
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.write("shop/other.py", "X = 1\n")
    main = repository.commit()
    repository.git("checkout", "--quiet", "feature")
    work_tree = WorkTree.at(repository.folder)
    assert work_tree.commit("main") == main
    assert work_tree.merge_base(main) == left


def test_a_shallow_clone_says_how_to_get_what_it_lacks(repository: Repository, tmp_path: Path) -> None:
    repository.git("checkout", "--quiet", "-b", "feature")
    repository.write("shop/orders.py", "X = 1\n")
    repository.commit()
    clone = Repository(tmp_path / "clone")
    clone.git("fetch", "--quiet", "--depth=1", repository.folder.as_uri(), "main", "feature:feature", "main:base")
    clone.git("checkout", "--quiet", "feature")
    work_tree = WorkTree.at(clone.folder)
    assert work_tree.shallow
    with pytest.raises(ConfigurationError, match=r"no common commit here; the clone is shallow.*--unshallow"):
        work_tree.merge_base(work_tree.commit("base"))
    with pytest.raises(ConfigurationError, match=r"git knows no commit 'v1'; the clone is shallow.*fetch-depth: 0"):
        work_tree.commit("v1")


def test_no_repository_and_one_without_a_commit_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="in no git work tree"):
        WorkTree.at(tmp_path)
    with pytest.raises(ConfigurationError, match="has no commit yet"):
        WorkTree.at(Repository(tmp_path / "empty").folder)


def test_a_submodules_files_differ_as_its_own_repository_says(repository: Repository, tmp_path: Path) -> None:
    inner = Repository(tmp_path / "inner")
    inner.write("lib/money.py", "X = 1\n")
    inner.commit()
    repository.git("submodule", "--quiet", "add", inner.folder.as_uri(), "vendor")
    base = repository.commit()
    assert found(repository, base) == []
    (repository.folder / "vendor/lib/money.py").write_text("X = 2\n")
    assert found(repository, base) == [("modified", "vendor/lib/money.py", "vendor/lib/money.py")]
    (change,) = differing(repository.folder, base)
    assert (change.before(), change.after()) == (b"X = 1\n", b"X = 2\n")


def test_a_submodule_that_is_not_here_is_one_change(repository: Repository, tmp_path: Path) -> None:
    inner = Repository(tmp_path / "inner")
    inner.write("lib/money.py", "X = 1\n")
    inner.commit()
    repository.git("submodule", "--quiet", "add", inner.folder.as_uri(), "vendor")
    base = repository.commit()
    repository.git("submodule", "--quiet", "deinit", "--force", "vendor")
    repository.git("update-index", "--cacheinfo", f"160000,{'1' * 40},vendor")
    (change,) = differing(repository.folder, base)
    assert (change.path, change.unreadable) == ("vendor", "it is a submodule whose commits are not here")
