"""The database that tests use one after the other is, for each, as `schema apply` makes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_coverage.store import open_store
from tests.support.spans import TABLES, TracedSpan, insert_spans
from tests.support.store import AppliedDatabase


@pytest.fixture(scope="module")
def applied(store_folder: Path) -> Iterator[AppliedDatabase]:
    database = AppliedDatabase(store_folder)
    yield database
    database.drop()


def test_rows_are_gone_and_the_database_is_kept(applied: AppliedDatabase) -> None:
    dsn = applied.dsn()
    with open_store(dsn) as store:
        insert_spans(store, TracedSpan(functions=["shop:f@1"], lines=["shop.py:1"]))
        applied.empty()
        assert applied.dsn() == dsn
        assert {table: store.query(f"SELECT count() FROM {table}").rows[0][0] for table in TABLES} == dict.fromkeys(
            TABLES, 0
        )


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE otel_traces ADD COLUMN more String",
        "CREATE OR REPLACE VIEW coverage_matrix AS SELECT 1",
        "DROP TABLE coverage_intake_mv",
        "INSERT INTO coverage_schema (name, digest) VALUES ('views/other', 'x')",
    ],
)
def test_a_changed_schema_is_used_by_no_other_test(applied: AppliedDatabase, statement: str) -> None:
    dsn = applied.dsn()
    with open_store(dsn) as store:
        store.command(statement)
    applied.empty()
    assert applied.dsn() != dsn
