"""``otel-coverage catalog``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError, OtelCoverageError
from otel_coverage.reporting.queries import select_revision
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from otel_coverage.symbols import Symbol
from tests.support.spans import TracedSpan, insert_spans


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "shop.py").write_text("class Order:\n    def total(self):\n        return 1\n")
    return folder


def catalog(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["catalog", *arguments])


def test_build_prints_json_to_a_pipe(source: Path) -> None:
    done = catalog("build", "--source", "shop.py", "--revision", "abc")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert (document["schema_version"], document["revision"], document["errors"]) == (1, "abc", [])
    assert document["symbols"][1] == {
        "id": "shop:Order.total@2",
        "module": "shop",
        "qualname": "Order.total",
        "line": 2,
        "kind": "function",
        "file": "shop.py",
        "end_line": 3,
        "parent": "Order",
        "decorators": [],
        "summary": "",
        "excluded": False,
        "executable_lines": [3],
    }
    assert document["files"] == [
        {"file": "shop.py", "module": "shop", "executable_lines": [1, 2, 3], "excluded_lines": []}
    ]


def test_build_prints_the_same_bytes_for_the_same_source(source: Path) -> None:
    assert catalog("build").stdout == catalog("build").stdout != ""


def test_build_prints_a_table_on_request(source: Path) -> None:
    done = catalog("build", "--format", "table")
    assert done.stdout.splitlines() == [
        "class     shop:Order@1        shop.py:1-3",
        "function  shop:Order.total@2  shop.py:2-3",
        "functions: 1, classes: 1, files: 1",
    ]


def test_build_writes_a_file_and_leaves_no_temporary_file(source: Path) -> None:
    (source / "out").mkdir()
    done = catalog("build", "--source", "shop.py", "--out", "out/symbols.json")
    assert (done.exit_code, done.stdout) == (0, "")
    assert [path.name for path in (source / "out").iterdir()] == ["symbols.json"]
    assert json.loads((source / "out" / "symbols.json").read_text())["symbols"][0]["id"] == "shop:Order@1"


def test_build_reports_an_output_that_cannot_be_written(source: Path) -> None:
    done = catalog("build", "--out", "no/such/folder/symbols.json")
    assert isinstance(done.exception, ConfigurationError)
    assert "cannot write no/such/folder/symbols.json: No such file or directory" in str(done.exception)


@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 1)])
def test_build_reports_a_file_with_a_syntax_error_and_continues(source: Path, strict: list[str], code: int) -> None:
    (source / "broken.py").write_text("x = 1\ndef f(:\n")
    done = catalog("build", *strict)
    assert done.exit_code == code
    assert done.stderr == "broken.py:2: invalid syntax (skipped)\n"
    document = json.loads(done.stdout)
    assert [symbol["id"] for symbol in document["symbols"]] == ["shop:Order@1", "shop:Order.total@2"]
    assert document["errors"] == [{"file": "broken.py", "line": 2, "message": "invalid syntax"}]


def test_the_source_comes_from_arguments_then_environment_then_pyproject(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (source / f"{name}.py").write_text(f"def {name}(): return 1\n")

    def found(*arguments: str) -> list[str]:
        return [symbol["qualname"] for symbol in json.loads(catalog("build", *arguments).stdout)["symbols"]]

    (source / "pyproject.toml").write_text('[tool.otel_coverage]\nsource = ["shop.py"]\n')
    assert found() == ["Order", "Order.total"]
    monkeypatch.setenv("OTEL_COVERAGE_SOURCE", "a.py")
    assert found() == ["a"]
    assert found("--source", "b.py") == ["b"]
    assert found("--source", "b.py", "--source", "a.py") == ["a", "b"]


def test_the_revision_is_read_from_the_resource_attributes_of_the_services(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=acme,vcs.ref.head.revision=build-7")
    assert json.loads(catalog("build").stdout)["revision"] == "build-7"
    assert json.loads(catalog("build", "--revision", "mine").stdout)["revision"] == "mine"


def test_a_source_that_matches_no_file_is_an_error(source: Path) -> None:
    (source / "docs").mkdir()
    done = catalog("build", "--source", "docs")
    assert isinstance(done.exception, ConfigurationError)
    assert "no Python file matches" in str(done.exception)


def test_push_stores_the_catalog_and_prints_the_count(
    source: Path, store: Store, store_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=acme,vcs.ref.head.revision=build-7")
    done = catalog("push", "--source", "shop.py")
    assert (done.exit_code, done.stdout) == (0, "pushed 2 symbols of revision build-7\n")
    rows = store.query("SELECT DISTINCT namespace, revision FROM code_symbols").rows
    assert rows == [("acme", "build-7")]


def test_push_takes_the_revision_from_git(source: Path, store: Store, store_dsn: str) -> None:
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", *identity, *command], cwd=source, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=source, check=True, capture_output=True, text=True)
    assert catalog("push", "--store", store_dsn).exit_code == 0
    assert store.query("SELECT DISTINCT revision FROM code_symbols").rows == [(head.stdout.strip(),)]


def test_push_without_a_revision_is_of_the_one_that_an_application_without_any_has(
    source: Path, store: Store, store_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(source.parent))
    done = catalog("push", "--store", store_dsn)
    assert done.exit_code == 0
    assert "its revision is 'unknown'; --revision names another" in done.stderr
    insert_spans(store, TracedSpan(revision="", functions=["shop:f@1"]))
    queries = select_revision(store)
    assert (queries.revision, queries.has_catalog) == ("unknown", True)


@pytest.mark.parametrize(("strict", "code", "count"), [([], 0, 2), (["--strict"], 1, 0)])
def test_push_with_a_syntax_error_pushes_the_rest_unless_strict(
    source: Path, store: Store, store_dsn: str, strict: list[str], code: int, count: int
) -> None:
    (source / "broken.py").write_text("def f(:\n")
    done = catalog("push", "--store", store_dsn, "--revision", "abc", *strict)
    assert done.exit_code == code
    assert done.stderr.startswith("broken.py:1: invalid syntax")
    assert store.query("SELECT count() FROM code_symbols").rows == [(count,)]


def test_push_to_a_locked_store_is_an_error_of_one_line(source: Path, store_dsn: str) -> None:
    command = ["catalog", "push", "--store", store_dsn, "--revision", "abc"]
    done = subprocess.run(
        [sys.executable, "-m", "otel_coverage", *command], capture_output=True, text=True, check=False, cwd=source
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"held by process {os.getpid()}" in done.stderr


def test_push_to_a_store_that_is_not_there_is_an_error_before_any_source_is_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_coverage.catalog.build", lambda *_, **__: pytest.fail("the sources were read"))
    done = catalog("push", "--store", f"chdb://{tmp_path / 'none'}", "--revision", "abc")
    assert isinstance(done.exception, OtelCoverageError)
    assert str(tmp_path / "none") in str(done.exception)


def test_push_to_a_store_without_the_schema_is_an_error_before_any_source_is_read(
    source: Path, empty_store_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otel_coverage.catalog.build", lambda *_, **__: pytest.fail("the sources were read"))
    done = catalog("push", "--store", empty_store_dsn, "--revision", "abc")
    assert isinstance(done.exception, OtelCoverageError)
    assert "schema apply" in str(done.exception)


def test_push_stores_a_file_whose_name_is_not_utf_8_and_one_in_a_folder_with_a_colon(
    source: Path, store: Store, store_dsn: str
) -> None:
    (source / "v2:new").mkdir()
    (source / "v2:new" / "tax.py").write_text("def tax(): return 1\n")
    (source / os.fsdecode(b"caf\xe9.py")).write_text("def coffee(): return 1\n")
    (source / os.fsdecode(b"th\xe9.py")).write_text("def tea(:\n")
    done = catalog("push", "--store", store_dsn, "--revision", "abc")
    assert done.stdout == "pushed 4 symbols of revision abc\n"
    assert done.stderr == "th\\udce9.py:1: invalid syntax (skipped)\n"
    rows = store.query("SELECT module, file, qualname FROM code_symbols WHERE file != 'shop.py' ORDER BY ALL").rows
    assert rows == [("caf\\udce9", "caf\\udce9.py", "coffee"), ("v2:new.tax", "v2:new/tax.py", "tax")]
    for file in SourceTree([str(source)]).files():  # as the recorder names them
        assert Symbol.parse(Symbol(file.module, "f", 1)).module == file.module
        assert file.path.encode()
