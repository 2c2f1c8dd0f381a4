"""A schema for clusters. There is none here: the SQL is parsed, and the views are asked over tables that stand in for
Distributed ones, two shards by the same tables, so that every row is found twice."""

from __future__ import annotations

import re

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store, open_store, schema
from otel_coverage.store.layout import Layout
from otel_coverage.store.sql_files import SqlFile
from tests.support.spans import TracedSpan, every_column, insert_catalog, insert_spans

CLUSTER = Layout.on("nightly-2")


def statements(layout: Layout) -> tuple[str, ...]:
    return SqlFile("", "shown", schema.show(layout, "otel")).statements


def test_every_statement_is_parsed_by_the_engine(store: Store) -> None:
    for statement in statements(CLUSTER):
        assert store.query(f"EXPLAIN AST {statement}").rows


def test_every_statement_is_for_all_nodes_and_every_table_replicated_or_distributed() -> None:
    text = statements(CLUSTER)
    assert [statement for statement in text if "ON CLUSTER 'nightly-2'" not in statement] == []
    assert not any("{cluster}" in statement for statement in text)
    engines = dict(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) .*?ENGINE = ([^\n;]+)", "\n;".join(text), re.DOTALL))
    assert engines == {
        "otel_traces_local": "ReplicatedMergeTree",
        "otel_traces": "Distributed('nightly-2', 'otel', 'otel_traces_local', rand())",
        "coverage_spans_local": "ReplicatedReplacingMergeTree",
        "coverage_spans": "Distributed('nightly-2', 'otel', 'coverage_spans_local', rand())",
        "coverage_functions_local": "ReplicatedAggregatingMergeTree",
        "coverage_functions": "Distributed('nightly-2', 'otel', 'coverage_functions_local', rand())",
        "coverage_lines_local": "ReplicatedAggregatingMergeTree",
        "coverage_lines": "Distributed('nightly-2', 'otel', 'coverage_lines_local', rand())",
        "coverage_arcs_local": "ReplicatedAggregatingMergeTree",
        "coverage_arcs": "Distributed('nightly-2', 'otel', 'coverage_arcs_local', rand())",
        "coverage_runs_local": "ReplicatedAggregatingMergeTree",
        "coverage_runs": "Distributed('nightly-2', 'otel', 'coverage_runs_local', rand())",
        "coverage_startup_local": "ReplicatedAggregatingMergeTree",
        "coverage_startup": "Distributed('nightly-2', 'otel', 'coverage_startup_local', rand())",
        "coverage_by_symbol_local": "ReplicatedAggregatingMergeTree",
        "coverage_by_symbol": "Distributed('nightly-2', 'otel', 'coverage_by_symbol_local', rand())",
        "coverage_entry_points_local": "ReplicatedAggregatingMergeTree",
        "coverage_entry_points": "Distributed('nightly-2', 'otel', 'coverage_entry_points_local', rand())",
        "coverage_entry_point_lines_local": "ReplicatedAggregatingMergeTree",
        "coverage_entry_point_lines": "Distributed('nightly-2', 'otel', 'coverage_entry_point_lines_local', rand())",
        "code_routes_local": "ReplicatedReplacingMergeTree(last_seen)",
        "code_routes": "Distributed('nightly-2', 'otel', 'code_routes_local', rand())",
        "coverage_unassigned_local": "ReplicatedReplacingMergeTree",
        "coverage_unassigned": "Distributed('nightly-2', 'otel', 'coverage_unassigned_local', rand())",
        "coverage_assignments_local": "ReplicatedReplacingMergeTree(written)",
        "coverage_assignments": "Distributed('nightly-2', 'otel', 'coverage_assignments_local', rand())",
        "coverage_run_windows_local": "ReplicatedReplacingMergeTree(written)",
        "coverage_run_windows": "Distributed('nightly-2', 'otel', 'coverage_run_windows_local', rand())",
        "coverage_run_doubts_local": "ReplicatedReplacingMergeTree(written)",
        "coverage_run_doubts": "Distributed('nightly-2', 'otel', 'coverage_run_doubts_local', rand())",
        "coverage_batches_local": "ReplicatedReplacingMergeTree(whole)",
        "coverage_batches": "Distributed('nightly-2', 'otel', 'coverage_batches_local', rand())",
        "code_symbols_local": "ReplicatedReplacingMergeTree(pushed_at)",
        "code_symbols": "Distributed('nightly-2', 'otel', 'code_symbols_local', rand())",
        "coverage_intake": "Null",
    }


def test_what_spans_bring_stays_on_the_shard_where_they_land() -> None:
    text = "\n".join(statements(Layout.on("nightly", "spans_here")))
    assert "FROM spans_here\nWHERE hasAny" in text
    assert set(re.findall(r" TO (\w+) AS", text)) == {
        "coverage_intake",
        "coverage_spans_local",
        "coverage_functions_local",
        "coverage_lines_local",
        "coverage_arcs_local",
        "coverage_runs_local",
        "coverage_by_symbol_local",
        "coverage_entry_points_local",
        "coverage_entry_point_lines_local",
        "code_routes_local",
        "coverage_startup_local",
        "coverage_unassigned_local",
    }
    assert "FROM coverage_functions_local AS f" in text


def test_views_answer_the_same_over_shards_with_the_same_rows(empty_store_dsn: str) -> None:
    spans = [
        TracedSpan(id="c", role="client", parent="r", name="GET /", service="playback", revision=""),
        TracedSpan(id="r", role="", outcome="passed", service="playback", revision=""),
        TracedSpan(id="s1", parent="c", functions=["shop:f@1"], lines=["shop.py:1-3"]),
        TracedSpan(id="s2", run="r2", trace="t2", functions=["shop:f@1", "shop:g@5"]),
        TracedSpan(id="s3", profile="order", trace="t3", functions=["shop:g@5"], revision="def"),
    ]
    with open_store(empty_store_dsn) as store:
        for statement in statements(CLUSTER):
            store.command(on_one_node(statement))
        insert_spans(store, *spans, table="otel_traces_local")
        insert_catalog(store, {"qualname": "f", "line": 1}, {"qualname": "h", "line": 9}, table="code_symbols_local")
        found = answers(store)
    with open_store(f"{empty_store_dsn}_plain", create=True) as plain:
        schema.apply(plain)
        insert_spans(plain, *spans)
        insert_catalog(plain, {"qualname": "f", "line": 1}, {"qualname": "h", "line": 9})
        expected = answers(plain)
        plain.command(f"DROP DATABASE {plain.database} SYNC")
    assert found == expected


def on_one_node(statement: str) -> str:
    statement = statement.replace(" ON CLUSTER 'nightly-2'", "").replace("ENGINE = Replicated", "ENGINE = ")
    return re.sub(
        r"AS (\w+)\nENGINE = Distributed.*",
        r"AS remote('127.0.0.1,localhost', currentDatabase(), \1, 'default', '', rand())",
        statement,
    )


def answers(store: Store) -> dict[str, list[tuple[object, ...]]]:
    views = store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'"
        " AND NOT startsWith(name, 'counted_')"
    ).rows
    return {
        view: store.query(f"SELECT DISTINCT {every_column(view)} FROM {view} ORDER BY ALL").rows for (view,) in views
    }


def test_a_store_stays_on_the_server_or_cluster_that_it_was_made_on(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="its tables are on one server: omit --cluster"):
        schema.apply(store, cluster="nightly")


@pytest.mark.parametrize("name", ["a'b", "a b", "1st", "x; DROP TABLE y"])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="use letters, digits and underscores"):
        Layout.on(name)
    with pytest.raises(ConfigurationError, match="use letters, digits and underscores"):
        Layout.on("", name)
