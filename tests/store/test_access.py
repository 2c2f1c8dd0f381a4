from __future__ import annotations

import re
from pathlib import Path

import pytest

from otel_coverage.cli.main import main
from otel_coverage.store import Store, schema
from otel_coverage.store.sql_files import SqlFile

READER = SqlFile("access", "coverage_reader", schema.access())
CONFIGURED = Path(__file__).parents[2] / "collector-config" / "clickhouse" / "access.sql"
EVERY = SqlFile("clickhouse", "access", CONFIGURED.read_text())


def test_the_reader_may_read_every_table_and_view_of_ours_and_no_raw_span(store: Store) -> None:
    ours = store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine NOT IN ('MaterializedView', 'Null') AND name NOT IN ('otel_traces', 'coverage_schema')"
    ).rows
    granted = re.findall(r"^GRANT SELECT ON (\w+) TO coverage_reader;$", READER.text, re.MULTILINE)
    assert sorted(granted) == sorted(name for (name,) in ours)


def test_every_grant_is_parsed_by_the_engine(store: Store) -> None:
    for statement in READER.statements:
        assert store.query(f"EXPLAIN AST {statement}").rows


@pytest.mark.parametrize("statement", EVERY.statements)
def test_roles_bounds_and_quotas_of_a_server_are_parsed_by_the_engine(store: Store, statement: str) -> None:
    assert store.query(f"EXPLAIN AST {statement}").rows


def test_a_role_that_is_granted_something_is_created() -> None:
    created = set(re.findall(r"^CREATE ROLE IF NOT EXISTS (\w+)", EVERY.text, re.MULTILINE))
    assert created == {"coverage_reader", "coverage_collector", "coverage_owner"}
    assert set(re.findall(r"^GRANT [\w, ]+ ON otel\.\* TO (\w+);$", EVERY.text, re.MULTILINE)) == created
    users = CONFIGURED.with_name("users.sh").read_text()
    assert set(re.findall(r"^user \w+ \S+ (\w+)$", users, re.MULTILINE)) <= created


def test_schema_access_prints_the_role(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["otel-coverage", "schema", "access"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, READER.text)
