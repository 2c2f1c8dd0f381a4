"""The revision of the code that a process has loaded, while files change below it."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource

from otel_coverage.revision import revision_of
from otel_coverage.settings import Settings
from otel_coverage.tracing import code_revision
from otel_coverage.tracing.code_revision import CodeRevision
from otel_coverage.tracing.process_resource import ProcessResource

ORDERS, PRICES = "shop_of_this_test.orders", "shop_of_this_test.prices"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A committed package that nobody has imported yet."""
    folder = tmp_path / "shop_of_this_test"
    folder.mkdir()
    for name in ("__init__", "orders", "prices"):
        (folder / f"{name}.py").write_text("VALUE = 1\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder
    code_revision.uninstall()
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def commit(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "next")
    return git(folder, "rev-parse", "HEAD")


def deploy(shop: Path, *names: str) -> str:
    for name in names:
        rewrite(shop / f"{name}.py", f"# {len(list(shop.iterdir()))}\nVALUE = 2\n")
    return commit(shop)


def rewrite(path: Path, text: str) -> None:
    """As git does: a new file takes the place of the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def started(shop: Path, given: str = "") -> CodeRevision:
    return code_revision.install(Settings(enabled=True, source=(str(shop),)), given)


def test_it_is_what_was_there_when_the_process_began_whatever_is_deployed_later(shop: Path) -> None:
    first = git(shop, "rev-parse", "HEAD")
    code = started(shop)
    importlib.import_module(ORDERS)
    deploy(shop, "orders", "prices")
    assert code.check() is None
    assert code.name == first


def test_where_all_code_was_imported_later_it_is_what_was_there_then(shop: Path) -> None:
    code = started(shop)
    second = deploy(shop, "prices")  # and not what is imported first
    importlib.import_module(ORDERS)
    importlib.import_module(PRICES)
    assert code.check() is None
    assert code.name == second


def test_code_of_two_revisions_is_marked_with_the_file_that_brought_the_second(shop: Path) -> None:
    first = git(shop, "rev-parse", "HEAD")
    code = started(shop)
    importlib.import_module(ORDERS)
    second = deploy(shop, "orders", "prices")
    importlib.import_module(PRICES)
    problem = code_revision.check(files=False)
    assert problem is not None
    assert problem.reason == "mixed_revisions"
    assert all(name in problem.detail for name in (first, second, str(shop / "prices.py")))
    assert code.name == first


def test_code_that_is_the_same_in_both_revisions_belongs_to_either(shop: Path) -> None:
    code = started(shop)
    importlib.import_module(ORDERS)
    second = deploy(shop, "prices")
    importlib.import_module(PRICES)
    assert code.check() is None
    assert code.name == second


def test_an_engine_that_reads_names_from_files_is_told_when_one_is_not_what_was_loaded(shop: Path) -> None:
    started(shop)
    importlib.import_module(ORDERS)
    deploy(shop, "prices")
    assert code_revision.check(files=True) is None
    deploy(shop, "orders")
    problem = code_revision.check(files=True)
    assert problem is not None
    assert (problem.reason, str(shop / "orders.py") in problem.detail) == ("source_changed", True)
    assert code_revision.check(files=False) is None


def test_a_module_that_is_reloaded_counts_as_imported_again(shop: Path) -> None:
    code = started(shop)
    orders, _ = importlib.import_module(ORDERS), importlib.import_module(PRICES)
    deploy(shop, "orders", "prices")
    importlib.reload(orders)
    assert code.check() is not None


def test_files_that_are_written_again_as_they_were_are_no_other_revision(shop: Path) -> None:
    code = started(shop)
    first = code.name
    importlib.import_module(ORDERS)
    for path in shop.glob("*.py"):
        rewrite(path, path.read_text())
    importlib.import_module(PRICES)
    assert code.check() is None
    assert code.name == first


def test_modules_that_were_imported_before_it_was_determined_count(shop: Path) -> None:
    importlib.import_module(ORDERS)
    code = started(shop)
    deploy(shop, "orders", "prices")
    importlib.import_module(PRICES)
    assert code.check() is not None


def test_a_revision_that_was_given_is_kept_and_a_change_of_the_code_is_marked(shop: Path) -> None:
    code = started(shop, "release-7")
    importlib.import_module(ORDERS)
    assert (code.check(), code.name) == (None, "release-7")
    deploy(shop, "prices")
    importlib.import_module(PRICES)
    problem = code.check()
    assert problem is not None
    assert (problem.reason, code.name) == ("revision_changed", "release-7")


def test_without_git_it_is_unknown_and_code_of_two_moments_is_marked(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code = started(shop)
    importlib.import_module(ORDERS)
    assert (code.check(), code.name) == (None, "unknown")
    for name in ("orders", "prices"):
        rewrite(shop / f"{name}.py", "VALUE = 2\n")
    importlib.import_module(PRICES)
    assert code.check() is not None


def test_a_source_with_too_many_files_is_said_not_to_be_looked_at(
    shop: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(code_revision, "_MOST_FILES", 1)
    with caplog.at_level(logging.WARNING):
        code = started(shop)
    assert [record.getMessage() for record in caplog.records if "so many files" in record.getMessage()]
    first = code.name
    importlib.import_module(ORDERS)
    deploy(shop, "orders", "prices")
    importlib.import_module(PRICES)
    assert (code.check(), code.name) == (None, first)


def test_a_resource_names_the_revision_of_now_also_in_a_forked_child(shop: Path) -> None:
    code = started(shop)
    before = Resource({"service.name": "web", "service.version": "7"})
    resource = ProcessResource(before, code).merge(Resource({"service.instance.id": "child"}))
    second = deploy(shop, "orders")
    importlib.import_module(ORDERS)
    code.check()
    assert dict(resource.attributes) == {
        "service.name": "web",
        "service.version": "7",
        "service.instance.id": "child",
        "vcs.ref.head.revision": second,
    }


def test_a_forked_child_and_its_parent_each_have_their_own(shop: Path) -> None:
    code = started(shop)
    first = code.name
    second = deploy(shop, "orders")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        importlib.import_module(ORDERS)
        code.check()
        os.write(writer, code.name.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 100).decode() == second
    assert code.name == first
    os.close(reader)
    os.close(writer)


def test_another_thread_waits_until_the_revision_is_known(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = started(shop)
    second = deploy(shop, "orders")
    asked, may_answer = threading.Event(), threading.Event()
    ask = revision_of

    def slow(folders: Sequence[str]) -> str | None:
        asked.set()
        may_answer.wait(30)
        return ask(folders)

    monkeypatch.setattr("otel_coverage.tracing.code_revision.revision_of", slow)
    importlib.import_module(ORDERS)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(code.check)
        assert asked.wait(30)
        other = threads.submit(lambda: (code.check(), code.name))
        assert not wait([other], 0.3).done
        may_answer.set()
        assert other.result() == (None, second)
        assert first.result() is None


def test_uninstalling_leaves_the_import_system_as_it_was(shop: Path) -> None:
    before = SourceFileLoader.path_stats
    started(shop)
    assert SourceFileLoader.path_stats is not before
    code_revision.uninstall()
    assert SourceFileLoader.path_stats is before
    assert code_revision.check(files=True) is None
