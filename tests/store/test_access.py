from __future__ import annotations

import re

import pytest

from otel_coverage.cli.main import main
from otel_coverage.store import Store, schema
from otel_coverage.store.sql_files import SqlFile

READER = SqlFile("access", "coverage_reader", schema.access())


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


def test_schema_access_prints_the_role(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["otel-coverage", "schema", "access"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, READER.text)
