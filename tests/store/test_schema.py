from __future__ import annotations

import re
from pathlib import Path

import pytest

from otel_coverage.errors import StoreError
from otel_coverage.store import Store, open_store, schema, sql_files
from tests.support import traces
from tests.support.spans import TracedSpan, insert_spans

DESIGNED = {
    # two different spans under one id are kept: they differ in what comes after it
    "coverage_spans": "namespace, revision, profile, run, trace, span, started, duration, role, function_count,"
    " line_count",
    "coverage_functions": "namespace, revision, profile, run, service, module, qualname, line",
    "coverage_lines": "namespace, revision, profile, run, service, file",
    "coverage_by_symbol": "namespace, revision, module, qualname, line, run",
    "coverage_entry_points": "namespace, revision, run, service, kind, entry_point, symbol",
    "coverage_entry_point_lines": "namespace, revision, run, service, kind, entry_point, file, profile",
    "code_routes": "namespace, revision, service, kind, rule, method",
    "coverage_runs": "namespace, revision, profile, run",
    "coverage_arcs": "namespace, revision, profile, run, service, file",
    "coverage_startup": "namespace, revision, service, module, qualname, line",
    "coverage_batches": "kind, batch",
    "code_symbols": "namespace, revision, module, qualname, line",
}


def test_applying_again_finds_nothing_to_do(empty_store_dsn: str) -> None:
    with open_store(empty_store_dsn) as store:
        applied = schema.apply(store)
        assert applied == [file.title for file in schema.files()]
        assert applied[0] == "schema/0001_otel_traces"
        assert schema.apply(store) == []


def test_every_statement_may_be_run_again(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["shop:order@1"]))
    for file in schema.files():
        for statement in file.statements:
            store.command(statement)
    assert store.query("SELECT symbol FROM coverage_matrix").rows == [("shop:order@1",)]


def test_the_tables_have_the_keys_of_the_contract(store: Store) -> None:
    keys = store.query(
        "SELECT name, sorting_key FROM system.tables"
        " WHERE database = currentDatabase() AND name IN {names:Array(String)}",
        {"names": list(DESIGNED)},
    ).rows
    assert dict(keys) == DESIGNED


def test_a_table_that_a_collector_made_is_left_alone_and_read(empty_store_dsn: str) -> None:
    with open_store(empty_store_dsn) as store:
        store.command(traces.OLD)
        before = store.query("SHOW CREATE TABLE otel_traces").rows
        schema.apply(store)
        assert store.query("SHOW CREATE TABLE otel_traces").rows == before
        insert_spans(store, TracedSpan(functions=["shop:order@1"]))
        assert store.query("SELECT symbol FROM coverage_matrix").rows == [("shop:order@1",)]


@pytest.fixture
def queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the SQL files, in use instead of them."""
    for folder in ("schema", "views"):
        (tmp_path / folder).mkdir()
        for file in sql_files.sql_files(folder):
            (tmp_path / folder / f"{file.name}.sql").write_text(file.text, encoding="utf-8")
    monkeypatch.setattr(sql_files, "queries_folder", lambda: tmp_path)
    return tmp_path


def test_a_view_whose_file_changed_is_replaced(store: Store, queries: Path) -> None:
    view = queries / "views" / "0004_coverage_matrix.sql"
    view.write_text("CREATE OR REPLACE VIEW coverage_matrix AS SELECT 1 AS changed;\n", encoding="utf-8")
    assert schema.apply(store) == ["views/0004_coverage_matrix"]
    assert store.query("SELECT * FROM coverage_matrix").columns == ("changed",)


def test_a_materialized_view_whose_file_changed_reads_by_the_new_query(store: Store, queries: Path) -> None:
    views = queries / "views" / "0001_materialized_views.sql"
    text = views.read_text(encoding="utf-8")
    views.write_text(text.replace("SpanName AS name,", "upper(SpanName) AS name,"), encoding="utf-8")
    assert schema.apply(store) == ["views/0001_materialized_views"]
    insert_spans(store, TracedSpan(name="get /"))
    assert store.query("SELECT name FROM coverage_spans").rows == [("GET /",)]


def test_a_table_that_a_later_version_adds_is_created(store: Store, queries: Path) -> None:
    added = "CREATE TABLE IF NOT EXISTS added (\n    x UInt8\n) ENGINE = MergeTree ORDER BY x;\n"
    (queries / "schema" / "0010_added.sql").write_text(added, encoding="utf-8")
    assert schema.apply(store) == ["schema/0010_added"]
    assert store.query("SELECT count() FROM added").rows == [(0,)]


def test_a_table_file_that_was_applied_does_not_change(store: Store, queries: Path) -> None:
    table = queries / "schema" / "0003_coverage_functions.sql"
    table.write_text(table.read_text(encoding="utf-8") + "-- another text\n", encoding="utf-8")
    with pytest.raises(StoreError, match=r"\(schema/0003_coverage_functions differs\).*create a new store"):
        schema.apply(store)


def test_a_store_with_a_table_file_that_is_unknown_is_another_versions(store: Store, queries: Path) -> None:
    (queries / "schema" / "0006_coverage_runs.sql").unlink()
    with pytest.raises(StoreError, match="schema/0006_coverage_runs differs"):
        schema.apply(store)


def test_no_view_is_stacked_on_more_than_two_others() -> None:
    depth: dict[str, int] = {}
    for file in sql_files.sql_files("views"):
        for statement in file.statements:
            if view := re.search(r"^CREATE OR REPLACE VIEW (\w+)", statement, re.MULTILINE):
                below = re.findall(r"\b(?:FROM|JOIN) (\w+)", statement)
                depth[view[1]] = 1 + max((depth.get(name, 0) for name in below), default=0)
    assert max(depth.values()) == 3, depth


def test_what_show_prints_makes_the_same_schema(store: Store, empty_store_dsn: str) -> None:
    script = sql_files.SqlFile("", "shown", schema.show())
    shown = sql_files.SqlFile("", "files", "".join(file.text for file in schema.files()))
    assert [_code(statement) for statement in script.statements] == [_code(statement) for statement in shown.statements]


def test_a_statement_ends_at_a_semicolon_that_ends_a_line() -> None:
    file = sql_files.SqlFile("views", "x", "-- what; it is;\nSELECT ';' AS a,\n  'b;c';\n\n-- nothing more;\n")
    assert file.statements == ("-- what; it is;\nSELECT ';' AS a,\n  'b;c'",)


def _code(statement: str) -> str:
    return "\n".join(line for line in statement.splitlines() if not line.lstrip().startswith("--")).strip()
