"""``otel-coverage catalog check``, and the files that it reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otel_coverage.catalog import build
from otel_coverage.catalog.drift import Executed, drift, unknown
from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from otel_coverage.symbols import Symbol
from tests.support.json_schema import violations
from tests.support.spans import TracedSpan, insert_spans

SHOP = '''"""The shop."""

import functools


class Order:
    """An order.

    More of it.
    """

    @functools.cached_property
    def total(self):
        """What it costs."""
        return 1

    @staticmethod
    def open():
        return 2


def ship(order):
    return order


def never():  # pragma: no cover
    return 0
'''


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the application ``shop.py`` in it."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "shop.py").write_text(SHOP)
    return folder


def catalog(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["catalog", *arguments])


def check(*arguments: str) -> dict[str, Any]:
    """The outcome of a check, whose exit code is held to it."""
    done = catalog("check", *arguments, "--format", "json")
    assert done.exit_code in (0, 1), done.output
    document: dict[str, Any] = json.loads(done.stdout)
    assert list(violations(document, json.loads(catalog("schema", "check").stdout))) == []
    assert done.exit_code == (0 if document["fits"] else 1)
    assert document["fits"] == (not document["drift"] and not document["unknown"])
    return document


def an_inventory() -> str:
    done = catalog("build", "--source", "shop.py", "--inventory", "--out", "inventory.json")
    assert done.exit_code == 0, done.output
    return "inventory.json"


def changed(source: Path, old: str, new: str) -> None:
    text = (source / "shop.py").read_text()
    assert old in text
    (source / "shop.py").write_text(text.replace(old, new))


def drifted(*arguments: str) -> list[tuple[str, str, str]]:
    found = check("--source", "shop.py", "--inventory", "inventory.json", *arguments)["drift"]
    return [(each["change"], each["name"], each["detail"]) for each in found]


def test_an_inventory_has_decorators_and_the_first_line_of_docstrings_and_no_revision(source: Path) -> None:
    document = json.loads((source / an_inventory()).read_text())
    assert "revision" not in document
    found = {entry["id"]: (entry["parent"], entry["decorators"], entry["summary"]) for entry in document["symbols"]}
    assert found == {
        "shop:Order@6": ("", [], "An order."),
        "shop:Order.total@12": ("Order", ["functools.cached_property"], "What it costs."),
        "shop:Order.open@17": ("Order", ["staticmethod"], ""),
        "shop:ship@22": ("", [], ""),
        "shop:never@26": ("", [], ""),
    }


def test_decorators_and_docstrings_of_any_shape_are_one_short_line(source: Path) -> None:
    (source / "shop.py").write_text(
        "# déjà vu\n"
        "def by(*a, **k): return lambda f: f\n"
        "@by('é',\n    rule='/orders/<int:id>')  # a comment\n"
        "@by\n"
        f"@by('{'x' * 500}')\n"
        'def one():\n    "  first\\tline\\nsecond"\n'
        "def two():\n    b'no docstring'\n"
        "def three():\n    '''\n\n    After blank lines.\n    '''\n"
        "def four(): 'on its line'\n"
    )
    found = {entry.symbol.qualname: entry for entry in build(SourceTree(["shop.py"])).symbols}
    assert found["one"].decorators[:2] == ("by('é', rule='/orders/<int:id>')", "by")
    assert [len(each) for each in found["one"].decorators[2:]] == [200]
    assert found["one"].summary == "first line"
    assert [found[name].summary for name in ("two", "three", "four")] == ["", "After blank lines.", "on its line"]


def test_what_build_writes_is_as_the_schema_says(source: Path) -> None:
    schema = json.loads(catalog("schema").stdout)
    (source / "broken.py").write_text("def f(:\n")
    for arguments in (("--inventory",), ("--revision", "abc")):
        document = json.loads(catalog("build", *arguments).stdout)
        assert document["errors"]
        assert list(violations(document, schema)) == []
        del document["symbols"][0]["end_line"]
        document["symbols"][1]["line"] = 0
        document["symbols"][2]["more"] = 1
        assert len(list(violations(document, schema))) == 3


def test_the_inventory_of_the_tree_fits_it(source: Path) -> None:
    an_inventory()
    assert drifted() == []
    done = catalog("check", "--source", "shop.py", "--inventory", "inventory.json", "--format", "table")
    assert (done.exit_code, done.stdout) == (0, "inventory.json: 5 symbols; fits the source tree\n")


def test_a_difference_can_be_an_annotation_or_part_of_a_summary(source: Path) -> None:
    an_inventory()
    changed(source, "ship(order)", "send(order)")
    arguments = ("check", "--source", "shop.py", "--inventory", "inventory.json", "--format")
    done = catalog(*arguments, "github")
    assert done.exit_code == 1
    said, *places = done.stdout.splitlines()
    assert said.startswith("::error title=Gate::catalog inventory.json: 5 symbols; the catalog differs from the source")
    assert places == [
        "::error file=shop.py,line=22,title=Catalog::shop:send@22: added: a function of the tree",
        "::error file=shop.py,line=22,title=Catalog::shop:ship@22: removed: a function of the catalog",
    ]
    summary = catalog(*arguments, "markdown").stdout.replace("\\", "")
    assert "| error | shop.py:22 | shop:send@22: added: a function of the tree |" in summary


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ship(order)", "send(order)", [("added", "shop:send@22"), ("removed", "shop:ship@22")]),
        ("def ship", "def wrap():\n    return 3\n\n\ndef ship", [("added", "shop:wrap@22"), *[("moved", "")] * 2]),
        ("import functools\n", "import functools\nimport os\n", [("moved", "")] * 5),
        ("    @staticmethod\n", "    @classmethod\n", [("changed", "shop:Order.open@17")]),
        ("An order.", "Orders.", [("changed", "shop:Order@6")]),
        ("never():  # pragma: no cover", "never():", [("changed", "shop:never@26")]),
        ("    return order\n", "    print(order)\n    return order\n", [("changed", "shop:ship@22"), ("moved", "")]),
        ("import functools\n", "import functools; functools.x = 1\n", []),
        ("\n\nclass", "\nX = 1\nclass", [("changed", "shop.py")]),
    ],
    ids=["name", "new", "moved", "decorator", "docstring", "excluded", "lines", "same line", "outside"],
)
def test_each_kind_of_change_is_named(source: Path, old: str, new: str, expected: list[tuple[str, str]]) -> None:
    an_inventory()
    changed(source, old, new)
    found = drifted()
    assert [change for change, _, _ in found] != [] or not expected
    assert sorted((change, name if change != "moved" else "") for change, name, _ in found) == sorted(expected)
    assert all(detail for _, _, detail in found)


def test_names_alone_are_compared_on_request(source: Path) -> None:
    an_inventory()
    changed(source, "import functools\n", "import functools\nimport os\n")
    changed(source, "    return order\n", "    print(order)\n    return order\n")
    assert drifted("--names") == []
    changed(source, "def ship", "def send")
    assert {change: name for change, name, _ in drifted("--names")} == {
        "added": "shop:send@23",
        "removed": "shop:ship@22",
    }


def test_a_file_that_cannot_be_read_is_one_finding_and_the_rest_is_compared(source: Path) -> None:
    (source / "other.py").write_text("def f():\n    return 1\n")
    assert catalog("build", "--inventory", "--out", "inventory.json").exit_code == 0
    (source / "shop.py").write_text("def f(:\n")
    (source / "other.py").unlink()
    (source / "third.py").write_text("x = 1\n")
    found = check("--inventory", "inventory.json")["drift"]
    assert [(each["change"], each["name"], each["line"]) for each in found] == [
        ("removed", "other.py", 1),
        ("removed", "other:f@1", 1),
        ("unreadable", "shop.py", 1),
        ("added", "third.py", 1),
    ]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"schema_version": 1, "symbols": [{}], "files": [], "errors": []}', "KeyError: 'kind'"),
        ('{"schema_version": 7}', "schema_version is 7, expected 1"),
        (None, "No such file or directory"),
    ],
)
def test_what_is_no_inventory_is_an_error_that_says_what_writes_one(source: Path, text: str | None, cause: str) -> None:
    if text is not None:
        (source / "inventory.json").write_text(text)
    done = catalog("check", "--inventory", "inventory.json")
    assert isinstance(done.exception, ConfigurationError)
    assert str(done.exception).startswith("inventory.json: ")
    assert cause in str(done.exception)
    assert "`otel-coverage catalog build --inventory --out FILE` writes" in str(done.exception)


def test_something_to_check_with_has_to_be_named(source: Path) -> None:
    done = catalog("check")
    assert isinstance(done.exception, ConfigurationError)
    assert "--inventory" in str(done.exception)
    both = catalog("build", "--inventory", "--revision", "abc")
    assert isinstance(both.exception, ConfigurationError)


def test_the_stored_catalog_is_compared_with_the_tree_and_with_what_was_executed(
    source: Path, store: Store, store_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    assert catalog("push", "--source", "shop.py", "--revision", "abc").exit_code == 0
    ran = ["shop:ship@22", "shop:never@26", "shop:made@3", "shop:ship@40", "gone:f@1"]
    insert_spans(store, TracedSpan(revision="abc", profile="checkout", functions=ran))
    found = check("--source", "shop.py", "--revision", "abc")
    assert found["drift"] == []  # of what coverage.py excludes the store has nothing
    assert [(each["id"], each["reason"], each["profiles"]) for each in found["unknown"]] == [
        ("gone:f@1", "other_module", ["checkout"]),
        ("shop:made@3", "other_name", ["checkout"]),
        ("shop:ship@40", "other_line", ["checkout"]),
    ]
    assert all(each["exemplar_trace_id"] for each in found["unknown"])

    changed(source, "return 1", "return 3")
    changed(source, "def ship", "def made():\n    return 1\n\n\ndef ship")
    (drift_,) = (
        each for each in check("--source", "shop.py", "--revision", "abc")["drift"] if each["change"] == "added"
    )
    assert drift_["name"] == "shop:made@22"
    changes = {
        each["name"]: each["detail"] for each in check("--revision", "abc")["drift"] if each["change"] == "changed"
    }
    assert changes == {"shop:Order@6": "its text", "shop:Order.total@12": "its text"}


def test_people_read_two_tables_and_a_last_line(source: Path, store: Store, store_dsn: str) -> None:
    assert catalog("push", "--source", "shop.py", "--revision", "abc", "--store", store_dsn).exit_code == 0
    insert_spans(store, TracedSpan(revision="abc", functions=["shop:ship@22", "shop:made@3"]))
    changed(source, "def ship", "def send")
    arguments = ("--source", "shop.py", "--revision", "abc", "--store", store_dsn, "--format", "table")
    done = catalog("check", *arguments)
    assert done.exit_code == 1
    assert [
        line.split()[:2] for line in done.stdout.splitlines() if line.startswith(("added", "removed", "shop:"))
    ] == [
        ["added", "shop:send@22"],
        ["removed", "shop:ship@22"],
        ["shop:made@3", "checkout"],
    ]
    assert "the catalog differs from the source tree in 2 places and lacks 1 executed function\n" in done.stderr


def test_a_revision_without_a_catalog_is_an_error_that_says_what_stores_one(
    source: Path, store: Store, store_dsn: str
) -> None:
    insert_spans(store, TracedSpan(revision="abc", functions=["shop:ship@22"]))
    done = catalog("check", "--source", "shop.py", "--revision", "abc", "--store", store_dsn)
    assert isinstance(done.exception, ConfigurationError)
    assert "`otel-coverage catalog push --revision abc` stores one" in str(done.exception)


def test_what_was_executed_is_held_against_an_inventory_too(source: Path, store: Store, store_dsn: str) -> None:
    an_inventory()
    changed(source, "def ship", "def send():\n    return 1\n\n\ndef ship")
    insert_spans(store, TracedSpan(revision="abc", functions=["shop:send@22", "shop:never@30", "shop:ship@26"]))
    arguments = ("--source", "shop.py", "--inventory", "inventory.json", "--store", store_dsn, "--revision", "abc")
    assert [(each["id"], each["reason"]) for each in check(*arguments)["unknown"]] == [
        ("shop:send@22", "stale_catalog"),
        ("shop:ship@26", "stale_catalog"),
    ]


def test_a_function_of_a_file_that_was_skipped_is_explained_by_its_error(source: Path) -> None:
    (source / "broken.py").write_text("\ndef f(:\n")
    tree = build(SourceTree(["."]))
    ((found),) = unknown([Executed(Symbol("broken", "f", 2))], tree, tree)
    assert (found.reason, found.detail) == ("skipped_file", "its file is in no catalog: broken.py:2: invalid syntax")
    assert drift(tree, tree) == ()
