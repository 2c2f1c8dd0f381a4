from __future__ import annotations

import re

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store
from otel_coverage.store.named_queries import NamedQuery, named_queries, named_query
from otel_coverage.store.sql_files import SqlFile
from tests.support.spans import TracedSpan, insert_catalog, insert_spans

QUERIES = named_queries()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_says_what_it_answers_and_declares_what_it_uses(query: NamedQuery) -> None:
    assert re.fullmatch(r"[A-Z].+\.", query.summary)
    code = "\n".join(line for line in query.sql.splitlines() if not line.startswith("--"))
    assert {(parameter.name, parameter.type) for parameter in query.parameters} == set(
        re.findall(r"\{(\w+):([^{}]+)\}", code)
    )
    assert all(parameter.meaning for parameter in query.parameters)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_runs_with_what_it_needs_alone_and_on_an_empty_store(store: Store, query: NamedQuery) -> None:
    needed = {parameter.name: "" for parameter in query.parameters if parameter.default is None}
    rows = store.query(query.sql, query.bind(needed)).rows
    assert (rows == []) == (query.name != "tables")  # tables there are


def two_revisions(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1}, {"qualname": "g", "line": 5}, revision="old")
    insert_catalog(store, {"qualname": "f", "line": 1}, {"qualname": "g", "line": 5}, {"qualname": "h", "line": 7})
    insert_spans(
        store,
        TracedSpan(id="s0", revision="old", functions=["shop:g@5"]),
        TracedSpan(id="s1", second=1, functions=["shop:f@1"]),
        TracedSpan(id="s2", second=2, functions=["shop:f@1"], profile="order", complete=False, reason="greenlets"),
    )


def answer(store: Store, name: str, **given: str) -> list[tuple[object, ...]]:
    query = named_query(name)
    return store.query(query.sql, query.bind(given)).rows


def test_the_newest_revision_is_meant_when_none_is_named(store: Store) -> None:
    two_revisions(store)
    assert [row[0] for row in answer(store, "gaps")] == ["shop:g@5", "shop:h@7"]
    assert [row[0] for row in answer(store, "gaps", revision="old")] == ["shop:f@1"]


def test_parameters_narrow_what_is_answered(store: Store) -> None:
    two_revisions(store)
    assert [row[:2] for row in answer(store, "matrix")] == [("checkout", "shop:f@1"), ("order", "shop:f@1")]
    assert [row[:2] for row in answer(store, "matrix", profile="order")] == [("order", "shop:f@1")]
    assert answer(store, "matrix", profile="'; DROP TABLE coverage_functions; --") == []
    assert answer(store, "gaps", module="elsewhere") == []
    assert answer(store, "gaps", namespace="acme") == []


def test_every_named_query_answers_what_its_view_holds(store: Store) -> None:
    two_revisions(store)
    assert [row[:6] for row in answer(store, "reverse-index")] == [
        ("shop:f@1", "shop", "f", 1, 2, ["checkout", "order"])
    ]
    assert [row[:4] for row in answer(store, "modules")] == [("shop", 1, 3, 33.33)]
    assert [row[:5] for row in answer(store, "leaderboard")] == [(1, "checkout", 1, 1, 3), (1, "order", 1, 1, 3)]
    assert [(row[0], row[1], row[11]) for row in answer(store, "runs")] == [
        ("checkout", "r1", True),
        ("order", "r1", False),
    ]
    assert [(row[0], row[2], row[7]) for row in answer(store, "incomplete")] == [("order", "request", "greenlets")]
    assert answer(store, "overlap") == [
        ("checkout", "order", 1, 1, 1, 1.0, True),
        ("order", "checkout", 1, 1, 1, 1.0, True),
    ]
    assert answer(store, "unique") == [("checkout", 1, 0, []), ("order", 1, 0, [])]
    assert [(*row[:3], row[4]) for row in answer(store, "diff", base="old")] == [
        ("gained", "shop", "f", ["checkout", "order"]),
        ("lost", "shop", "g", ["checkout"]),
    ]
    assert [row[:6] for row in answer(store, "module-leaderboard")] == [(1, "shop", 1, 3, 33.33, 2)]
    assert answer(store, "redundancy") == [("checkout", 1, 0, ["order"]), ("order", 1, 0, ["checkout"])]
    assert answer(store, "kept", profiles="order,it's none") == [(1, 1, 100.0)]
    assert answer(store, "kept") == [(0, 1, 0.0)]
    assert [(row[0], *row[3:]) for row in answer(store, "revisions")] == [("abc", 2, 1), ("old", 1, 1)]


def test_risk_is_what_was_added_or_changed_and_no_profile_reaches(store: Store) -> None:
    names = ("same", "moved", "changed", "reached", "added")
    old = {name: {"qualname": name, "line": line, "digest": "1"} for line, name in enumerate(names[:-1], 1)}
    new = {name: {"qualname": name, "line": line, "digest": "1"} for line, name in enumerate(names, 1)}
    new["moved"]["line"] = 40
    new["changed"]["digest"] = new["reached"]["digest"] = "2"
    insert_catalog(store, *old.values(), revision="old")
    insert_catalog(store, *new.values(), {"qualname": "C", "line": 50, "kind": "class", "digest": "3"})
    insert_spans(store, TracedSpan(functions=["shop:reached@4"]))
    assert [row[:2] for row in answer(store, "risk", base="old")] == [
        ("added", "shop:added@5"),
        ("changed", "shop:changed@3"),
    ]
    assert {row[0] for row in answer(store, "risk", base="never pushed")} == {"unknown"}
    assert len(answer(store, "risk", base="never pushed")) == 4


def test_risk_tells_changes_by_the_shape_where_a_catalog_has_no_digests(store: Store) -> None:
    shape = {"qualname": "f", "line": 1, "end_line": 3, "executable_lines": [2, 3]}
    insert_catalog(store, shape, {**shape, "qualname": "g"}, revision="old")
    insert_catalog(
        store,
        {**shape, "line": 11, "end_line": 13, "executable_lines": [12, 13], "digest": "1"},
        {**shape, "qualname": "g", "executable_lines": [3]},
    )
    insert_spans(store, TracedSpan(functions=[]))
    assert [row[:2] for row in answer(store, "risk", base="old")] == [("changed", "shop:g@1")]


def test_an_unknown_name_is_answered_with_those_spelt_alike() -> None:
    with pytest.raises(ConfigurationError, match=r"no query 'reverse_index'; there is reverse-index"):
        named_query("reverse_index")


def test_a_name_like_none_is_answered_with_all() -> None:
    with pytest.raises(ConfigurationError, match=", ".join(query.name for query in QUERIES)):
        named_query("zzzzzzzzzz")


DECLARED = NamedQuery.of(
    SqlFile(
        "reports",
        "x",
        "-- What it says.\n--\n-- {a:String}  needed\n-- {b:Array(UInt32)} = '[]'  a list\n"
        "SELECT {a:String}, {b:Array(UInt32)}",
    )
)


def test_declarations_have_a_type_a_default_and_a_meaning() -> None:
    found = [
        (parameter.name, parameter.type, parameter.default, parameter.meaning) for parameter in DECLARED.parameters
    ]
    assert found == [("a", "String", None, "needed"), ("b", "Array(UInt32)", "[]", "a list")]


def test_a_parameter_without_default_has_to_be_given() -> None:
    assert DECLARED.bind({"a": "x"}) == {"a": "x", "b": "[]"}
    with pytest.raises(ConfigurationError, match=r"query 'x' needs --param a=… \(needed\)"):
        DECLARED.bind({"b": "[1]"})


def test_an_unknown_parameter_is_answered_with_those_that_it_takes() -> None:
    with pytest.raises(ConfigurationError, match="query 'x' has no parameter 'c'; it takes a, b"):
        DECLARED.bind({"a": "", "c": ""})
