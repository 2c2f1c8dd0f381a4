from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store
from otel_coverage.store.named_queries import NamedQuery, named_queries, named_query
from otel_coverage.store.sql_files import SqlFile
from tests.store.test_views import forget
from tests.support.spans import TracedSpan, insert_catalog, insert_spans

QUERIES = named_queries()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_says_what_it_returns_and_knows_its_parameters(query: NamedQuery) -> None:
    assert re.fullmatch(r"[A-Z].+\.", query.summary)
    code = "\n".join(line for line in query.sql.splitlines() if not line.startswith("--"))
    declared = {(parameter.name, parameter.type) for parameter in query.parameters}
    assert declared - {("services", "String")} == set(re.findall(r"\{(\w+):([^{}]+)\}", code)) - {
        ("services", "String")
    }
    assert all(parameter.meaning for parameter in query.parameters)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_runs_with_what_it_needs_alone_and_on_an_empty_store(store: Store, query: NamedQuery) -> None:
    assert (query.ask(store, needed(query)).rows == []) == (query.name not in ("tables", "totals"))


def needed(query: NamedQuery) -> dict[str, str]:
    """A value for each parameter without a default."""
    return {parameter.name: "" for parameter in query.parameters if parameter.default is None}


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
    return named_query(name).ask(store, given).rows


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


def test_every_named_query_returns_what_its_view_has(store: Store) -> None:
    two_revisions(store)
    assert [row[:6] for row in answer(store, "reverse-index")] == [
        ("shop:f@1", "shop", "f", 1, 2, ["checkout", "order"])
    ]
    assert [row[:4] for row in answer(store, "modules")] == [("shop", 1, 3, 33.33)]
    assert [row[:5] for row in answer(store, "leaderboard")] == [(1, "checkout", 1, 1, 3), (1, "order", 1, 1, 3)]
    assert answer(store, "totals") == [(1, 3, 33.33, 0, 0, None, 1)]
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


SERVICES = st.sampled_from(["web", "worker"])
PLAYED = st.lists(
    st.tuples(SERVICES, st.sampled_from("ab"), st.sampled_from(["r1", "r2"]), st.sets(st.integers(1, 4), min_size=1)),
    max_size=6,
)
BY_SERVICE = [query for query in QUERIES if "services" in {parameter.name for parameter in query.parameters}]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played=PLAYED)
def test_a_query_about_one_service_finds_what_a_store_of_its_spans_alone_would(
    store: Store, played: list[tuple[str, str, str, set[int]]]
) -> None:
    """But for profiles, runs and times, which are the same whatever service is asked about."""
    spans = [
        TracedSpan(
            id=f"s{number}",
            service=service,
            profile=profile,
            run=run,
            second=number,
            functions=[f"shop:f{line}@{line}" for line in lines],
            lines=[f"shop.py:{','.join(map(str, sorted(lines)))}"],
            arcs=[],
        )
        for number, (service, profile, run, lines) in enumerate(played)
    ]
    answers: list[dict[str, object]] = []
    for inserted, services in ((spans, "web"), ([span for span in spans if span.service == "web"], "")):
        forget(store)
        insert_catalog(store, *({"qualname": f"f{line}", "line": line, "executable_lines": [line]} for line in (1, 2)))
        insert_spans(store, *inserted)
        answers.append(
            {
                query.name: query.ask(store, {**needed(query), "revision": "abc", "services": services}).rows
                for query in BY_SERVICE
                if query.name not in ("leaderboard", "runs", "redundancy", "flakiness")
            }
        )
    assert answers[0] == answers[1]


def test_every_query_about_coverage_can_be_asked_about_some_services() -> None:
    assert {query.name for query in QUERIES} - {query.name for query in BY_SERVICE} == {
        "revisions",
        "services",
        "tables",
    }


def test_an_error_about_an_unknown_name_lists_similar_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no query 'reverse_index'; did you mean reverse-index"):
        named_query("reverse_index")


def test_an_error_about_a_name_unlike_any_lists_all() -> None:
    with pytest.raises(ConfigurationError, match=", ".join(query.name for query in QUERIES)):
        named_query("zzzzzzzzzz")


DECLARED = NamedQuery.parse(
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


def test_an_error_about_an_unknown_parameter_lists_those_that_the_query_takes() -> None:
    with pytest.raises(ConfigurationError, match="query 'x' has no parameter 'c'; it takes a, b"):
        DECLARED.bind({"a": "", "c": ""})
