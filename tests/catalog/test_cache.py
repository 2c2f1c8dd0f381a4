"""Catalogs built on all processors and from the cache equal those that are built without either."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otel_coverage import catalog as catalogs
from otel_coverage.catalog import Catalog, builder, workers
from otel_coverage.catalog.analysis import Analyzer
from otel_coverage.catalog.cache import AnalysisCache
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceTree

STANDARD_LIBRARY = Path(os.__file__).parent
PACKAGES = [str(STANDARD_LIBRARY / name) for name in ("asyncio", "json", "email", "unittest", "xml")]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "shop.py").write_text("def pay():\n    return 1\n\ndef debug():  # pragma: no cover\n    return 2\n")
    (folder / "broken.py").write_text("def f(:\n")
    return folder


@pytest.fixture
def analyzed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the files that are analyzed in this process."""
    paths: list[str] = []
    analyze = Analyzer.analyze

    def noted(analyzer: Analyzer, file: Any) -> Any:
        paths.append(file.path)
        return analyze(analyzer, file)

    monkeypatch.setattr(Analyzer, "analyze", noted)
    return paths


def cached(folder: Path, rcfile: Path | None = None) -> Catalog:
    return catalogs.build(SourceTree([str(folder)], rcfile=str(rcfile) if rcfile else None), cached=True)


def entries(home: Path) -> list[Path]:
    return sorted(home.glob("otel-coverage/catalog/??/*"))


def test_processes_and_the_cache_find_what_one_process_finds(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(3))
    started: list[int] = []

    def noted(files: Any, rcfile: str | None, count: int) -> Any:
        started.append(count)
        return workers.analyze_in_processes(files, rcfile, count)

    monkeypatch.setattr(builder, "analyze_in_processes", noted)
    alone = catalogs.build(SourceTree(PACKAGES))
    done: list[str] = []
    at_first = catalogs.build(
        SourceTree(PACKAGES), in_parallel=True, cached=True, on_file=lambda file: done.append(file.path)
    )
    afterwards = catalogs.build(SourceTree(PACKAGES), in_parallel=True, cached=True)
    assert len(alone.symbols) > 1000
    assert started == [3]  # and none when all of it is in the cache
    assert alone == at_first == afterwards
    assert sorted(done) == [file.path for file in alone.files]


def test_a_process_that_dies_leaves_its_files_to_the_others(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2))
    dying = workers._START.replace(
        "serve()", "import os, threading; threading.Timer(0.5, os._exit, [1]).start(); serve()"
    )
    monkeypatch.setattr(workers, "_START", dying)
    assert catalogs.build(SourceTree(PACKAGES), in_parallel=True) == catalogs.build(SourceTree(PACKAGES))


def test_an_error_of_the_configuration_comes_back_from_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2))
    rcfile = tmp_path / "rc"
    rcfile.write_text("[report]\nexclude_lines = (\n")
    with pytest.raises(ConfigurationError, match="rc"):
        catalogs.build(SourceTree(PACKAGES, rcfile=str(rcfile)), in_parallel=True)


def test_only_what_is_new_is_analyzed(home: Path, project: Path, analyzed: list[str]) -> None:
    first = cached(project)
    assert sorted(analyzed) == ["broken.py", "shop.py"]
    analyzed.clear()
    assert cached(project) == first
    assert analyzed == ["broken.py"]  # errors are not kept: they name the file
    (project / "shop.py").rename(project / "store.py")
    assert [symbol.id for symbol in cached(project).symbols] == ["store:pay@1", "store:debug@4"]
    assert "store.py" not in analyzed
    (project / "store.py").write_text("def pay(): return 3\n")
    assert [symbol.id for symbol in cached(project).symbols] == ["store:pay@1"]
    assert "store.py" in analyzed


def test_another_configuration_is_another_entry(home: Path, project: Path, tmp_path: Path) -> None:
    rcfile = tmp_path / "rc"
    rcfile.write_text("[report]\nexclude_lines =\n    nothing at all\n")
    assert [symbol.excluded for symbol in cached(project).symbols] == [False, True]
    assert [symbol.excluded for symbol in cached(project, rcfile).symbols] == [False, False]
    rcfile.write_text("[report]\nexclude_also =\n    def pay\n")
    assert [symbol.excluded for symbol in cached(project, rcfile).symbols] == [True, True]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"pay", b"buy")),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["emptied", "cut", "altered", "overwritten", "a folder"],
)
def test_a_damaged_entry_counts_as_none(home: Path, project: Path, damage: Callable[[Path], object]) -> None:
    first = cached(project)
    (entry,) = entries(home)
    damage(entry)
    assert cached(project) == first


def test_an_entry_under_another_name_counts_as_none(home: Path, project: Path) -> None:
    cached(project)
    (of_old,) = entries(home)
    content = of_old.read_bytes()
    of_old.unlink()
    (project / "shop.py").write_text("def buy(): return 3\n")
    expected = cached(project)
    (of_new,) = entries(home)
    of_new.write_bytes(content)
    assert cached(project) == expected


def test_the_cache_is_its_users_alone(home: Path, project: Path) -> None:
    cached(project)
    folder = home / "otel-coverage" / "catalog"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir(), *entries(home)) if path.is_dir()}
    assert modes == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in entries(home)} == {0o600}
    folder.chmod(0o777)
    assert AnalysisCache.of_user(()) is None


def test_a_cache_folder_that_cannot_be_made_is_done_without(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [symbol.id for symbol in cached(project).symbols] == ["shop:pay@1", "shop:debug@4"]


def test_entries_that_were_not_used_for_a_month_are_deleted(home: Path, project: Path) -> None:
    cached(project)
    (entry,) = entries(home)
    os.utime(entry, (0, 0))
    os.utime(home / "otel-coverage" / "catalog" / "pruned", (0, 0))
    (project / "shop.py").write_text("x = 1\n")
    cached(project)
    assert not entry.exists()
    assert len(entries(home)) == 1


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from otel_coverage.catalog.definitions import StatementReader

    read = StatementReader.read

    def changed(reader: StatementReader, filename: str) -> Any:
        if filename.endswith("shop.py"):
            Path(filename).write_text("x = 1\n")
        return read(reader, filename)

    monkeypatch.setattr(StatementReader, "read", changed)
    cached(project)
    assert entries(home) == []


def test_the_command_uses_the_cache_unless_told_not_to(home: Path, project: Path) -> None:
    def printed(*options: str) -> Any:
        command = [sys.executable, "-m", "otel_coverage", "catalog", "build", "--source", str(project), *options]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    first = printed("--no-cache")
    assert entries(home) == []
    assert printed() == first
    assert len(entries(home)) == 1
    assert printed() == first


def test_a_module_in_the_working_directory_does_not_take_the_place_of_what_the_processes_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2))
    (tmp_path / "coverage.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    files = list(SourceTree(PACKAGES[:1]).files())
    assert len(list(workers.analyze_in_processes(files, None, 2))) == len(files)
