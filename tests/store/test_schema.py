from __future__ import annotations

from pathlib import Path

import pytest

from otel_coverage.store import Store, open_store, schema, sql
from tests.support import traces
from tests.support.spans import TracedSpan, insert_spans

DESIGNED = {
    "coverage_spans": "namespace, revision, profile, run, trace, span",
    "coverage_functions": "namespace, revision, profile, run, service, module, qualname, line",
    "coverage_lines": "namespace, revision, profile, run, service, file",
    "coverage_arcs": "namespace, revision, profile, run, service, file",
    "code_symbols": "namespace, revision, module, qualname, line",
}

DATA = Path(__file__).parents[1] / "data"


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


def test_a_view_whose_file_changed_is_replaced(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("schema", "views"):
        (tmp_path / folder).mkdir()
        for file in sql.sql_files(folder):
            (tmp_path / folder / f"{file.name}.sql").write_text(file.text, encoding="utf-8")
    view = tmp_path / "views" / "0001_coverage_matrix.sql"
    view.write_text("CREATE OR REPLACE VIEW coverage_matrix AS SELECT 1 AS changed;\n", encoding="utf-8")
    monkeypatch.setattr(sql, "queries_folder", lambda: tmp_path)
    assert schema.apply(store) == ["views/0001_coverage_matrix"]
    assert store.query("SELECT * FROM coverage_matrix").columns == ("changed",)


OLD_VERSIONS = """
CREATE TABLE coverage_schema (name String, digest String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""


@pytest.mark.parametrize("old", sorted(DATA.glob("schema_*")), ids=lambda path: path.name)
def test_an_earlier_schema_becomes_this_one_and_keeps_what_it_held(
    empty_store_dsn: str, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(empty_store_dsn) as store:
        with monkeypatch.context() as patched:
            patched.setattr(sql, "queries_folder", lambda: old)
            store.command(OLD_VERSIONS)
            for file in schema.files():
                for statement in file.statements:
                    store.command(statement)
                store.insert("coverage_schema", ["name", "digest"], [[file.title, file.digest]])
        part = TracedSpan(id="p1", trace="t3", profile="parts", role="part", functions=["shop:part@5"])
        insert_spans(store, TracedSpan(functions=["shop:order@1"]), part)
        assert schema.apply(store) != []
        assert schema.apply(store) == []
        insert_spans(store, TracedSpan(id="s2", trace="t2", functions=["shop:after@9"]))
        assert store.query("SELECT symbol FROM coverage_matrix ORDER BY symbol DESC").rows == [
            ("shop:part@5",),
            ("shop:order@1",),
            ("shop:after@9",),
        ]
        # what rows of before have no columns and no rows for
        assert store.query("SELECT profile, unique_functions FROM profile_unique ORDER BY profile").rows == [
            ("checkout", 2),
            ("parts", 1),
        ]
        assert store.query("SELECT arrived, complete FROM run_completeness").rows == [(True, True), (True, True)]
        assert store.query("SELECT profile, requests FROM profile_leaderboard ORDER BY profile").rows == [
            ("checkout", 2),
            ("parts", 0),
        ]
        upgraded = definitions(store)
        with open_store(f"{empty_store_dsn}_fresh", create=True) as fresh:
            schema.apply(fresh)
            assert upgraded == definitions(fresh)
            fresh.command(f"DROP DATABASE {fresh.database} SYNC")


def definitions(store: Store) -> dict[str, str]:
    """Everything that stands in the store, but for where it notes what was applied."""
    found = store.query(
        "SELECT name, replaceAll(create_table_query, concat(currentDatabase(), '.'), '') FROM system.tables"
        " WHERE database = currentDatabase() AND name != 'coverage_schema'"
    ).rows
    return dict(found)


def test_what_show_prints_makes_the_same_schema(store: Store, empty_store_dsn: str) -> None:
    script = sql.SqlFile("", "shown", schema.show())
    shown = sql.SqlFile("", "files", "".join(file.text for file in schema.files()))
    assert [_code(statement) for statement in script.statements] == [_code(statement) for statement in shown.statements]


def test_a_statement_ends_at_a_semicolon_that_ends_a_line() -> None:
    file = sql.SqlFile("views", "x", "-- what; it is;\nSELECT ';' AS a,\n  'b;c';\n\n-- nothing more;\n")
    assert file.statements == ("-- what; it is;\nSELECT ';' AS a,\n  'b;c'",)


def _code(statement: str) -> str:
    return "\n".join(line for line in statement.splitlines() if not line.lstrip().startswith("--")).strip()
