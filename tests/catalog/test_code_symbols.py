"""A catalog in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_coverage import catalog as catalogs
from otel_coverage.catalog import Catalog
from otel_coverage.catalog.code_symbols import deletion
from otel_coverage.errors import StoreError
from otel_coverage.source import SourceTree
from otel_coverage.store import Store, open_store
from otel_coverage.store.layout import Layout


def catalog_of(folder: Path, source: str) -> Catalog:
    folder.mkdir(exist_ok=True)
    (folder / "shop.py").write_text(source)
    return catalogs.build(SourceTree([str(folder)]))


def stored(store: Store, columns: str = "qualname") -> list[tuple[object, ...]]:
    return store.query(f"SELECT namespace, revision, {columns} FROM code_symbols FINAL ORDER BY ALL").rows


def test_every_column_has_the_value_of_the_catalog(store: Store, tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "class Order:\n    def total(self):\n        x = '<locals>'\n        return x\n")
    assert catalogs.push(store, catalog, "abc", "acme") == 2
    digests = [entry.digest for entry in catalog.symbols]
    assert len(set(digests)) == 2
    assert all(digests)
    columns = "module, qualname, line, kind, file, end_line, executable_lines, parent, digest"
    assert stored(store, columns) == [
        ("acme", "abc", "shop", "Order", 1, "class", "shop.py", 4, [2], "", digests[0]),
        ("acme", "abc", "shop", "Order.total", 2, "function", "shop.py", 4, [3, 4], "Order", digests[1]),
    ]


def test_a_push_replaces_the_whole_catalog_of_its_revision_and_no_other(store: Store, tmp_path: Path) -> None:
    old = catalog_of(tmp_path, "def f(): return 1\ndef gone(): return 1\n")
    for revision, namespace in (("one", ""), ("two", ""), ("one", "acme")):
        catalogs.push(store, old, revision, namespace)
    catalogs.push(store, catalog_of(tmp_path, "def f(): return 1\n\ndef new(): return 1\n"), "one")
    assert stored(store) == [
        ("", "one", "f"),
        ("", "one", "new"),
        ("", "two", "f"),
        ("", "two", "gone"),
        ("acme", "one", "f"),
        ("acme", "one", "gone"),
    ]


def test_a_digest_depends_on_the_text_of_a_definition_and_not_on_its_position(store: Store, tmp_path: Path) -> None:
    def digests(revision: str, source: str) -> dict[object, object]:
        catalogs.push(store, catalog_of(tmp_path, source), revision)
        return {name: digest for _, at, name, digest in stored(store, "qualname, digest") if at == revision}

    before = digests("one", "def f(): return 1\ndef g(): return 1\n")
    moved = digests("two", "x = 0\n\ndef g(): return 1\ndef f(): return 1\n")
    changed = digests("three", "def f(): return 1\ndef g(): return 2\n")
    assert moved == before
    assert {name for name in before if changed[name] != before[name]} == {"g"}


def test_on_a_cluster_the_catalogs_of_all_shards_are_replaced(store: Store) -> None:
    statement = deletion(Layout.on("nightly"))
    assert statement.startswith("DELETE FROM code_symbols_local ON CLUSTER 'nightly' WHERE namespace = ")
    assert store.query(f"EXPLAIN AST {statement}", {"namespace": "", "revision": "abc"}).rows


def test_pushing_the_same_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, "def f(): return 1\n")
    for _ in range(2):
        catalogs.push(store, catalog, "abc")
    assert store.query("SELECT qualname FROM code_symbols").rows == [("f",)]


def test_an_emptied_source_has_an_empty_catalog(store: Store, tmp_path: Path) -> None:
    catalogs.push(store, catalog_of(tmp_path, "def f(): return 1\n"), "abc")
    assert catalogs.push(store, catalog_of(tmp_path, "x = 1\n"), "abc") == 0
    assert stored(store) == []


def test_a_push_replaces_one_from_a_machine_whose_clock_was_ahead(store: Store, tmp_path: Path) -> None:
    catalogs.push(store, catalog_of(tmp_path, "def old(): return 1\n"), "abc")
    store.command(
        "INSERT INTO code_symbols SELECT * REPLACE (now64(6) + INTERVAL 1 DAY AS pushed_at) FROM code_symbols"
    )
    catalogs.push(store, catalog_of(tmp_path, "def new(): return 1\n"), "abc")
    assert stored(store) == [("", "abc", "new")]


def test_symbols_that_coverage_excludes_are_not_pushed(store: Store, tmp_path: Path) -> None:
    catalogs.push(store, catalog_of(tmp_path, "def f(): return 1\ndef g():  # pragma: no cover\n    return 1\n"), "abc")
    assert stored(store) == [("", "abc", "f")]


def test_names_with_quotes_and_sql_are_data(store: Store, tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path / "o'brien; DROP TABLE code_symbols", "def ünïcode(): return 1\n")
    revision = "'; DROP TABLE code_symbols; --"
    catalogs.push(store, catalog, revision, 'a"b')
    catalogs.push(store, catalog, revision, 'a"b')
    assert stored(store) == [('a"b', revision, "ünïcode")]


def test_a_failed_push_leaves_the_previous_catalog(store: Store, tmp_path: Path) -> None:
    catalogs.push(store, catalog_of(tmp_path, "def old(): return 1\n"), "abc")
    store.command("ALTER TABLE code_symbols ADD CONSTRAINT small CHECK end_line < 2")
    with pytest.raises(StoreError):
        catalogs.push(store, catalog_of(tmp_path, "def new(): return 1\n\ndef late(): return 1\n"), "abc")
    assert stored(store) == [("", "abc", "old")]


def test_the_error_for_a_store_without_schema_names_the_command(empty_store_dsn: str, tmp_path: Path) -> None:
    with open_store(empty_store_dsn) as empty, pytest.raises(StoreError, match="schema apply"):
        catalogs.push(empty, catalog_of(tmp_path, "def f(): return 1\n"), "abc")
