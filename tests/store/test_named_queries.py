from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store
from otel_coverage.store.named_queries import NamedQuery, Value, named_queries, named_query
from otel_coverage.store.sql_files import SqlFile
from tests.store.test_views import forget
from tests.support.spans import TracedSpan, insert_catalog, insert_spans

QUERIES = named_queries()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_a_query_says_what_it_returns_and_knows_its_parameters(query: NamedQuery) -> None:
    assert re.fullmatch(r"[A-Z].+\.", query.summary)
    code = "\n".join(line for line in query.sql.splitlines() if not line.startswith("--"))
    declared = {(parameter.name, parameter.type) for parameter in query.parameters}
    narrowing = {(name, "Array(String)") for name in ("services", "runs", "profiles")}
    assert declared - narrowing == set(re.findall(r"\{(\w+):([^{}]+)\}", code)) - narrowing
    assert all(parameter.meaning for parameter in query.parameters)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_the_columns_that_a_terminal_shows_are_the_querys(store: Store, query: NamedQuery) -> None:
    values = {**needed(query), "revision": "abc"} if "revision" in query.bind(needed(query)) else needed(query)
    sql, bound = query.resolve(store, values)
    described = {row[0] for row in store.query(f"DESCRIBE TABLE ({sql.strip().rstrip(';')})", bound).rows}
    assert {*query.columns, *query.groups} <= described


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
        TracedSpan(id="s0", trace="t0", revision="old", functions=["shop:g@5"]),
        TracedSpan(id="s1", second=1, functions=["shop:f@1"]),
        TracedSpan(id="s2", second=2, functions=["shop:f@1"], profile="order", complete=False, reason="greenlets"),
    )


def answer(store: Store, name: str, **given: str) -> list[tuple[object, ...]]:
    return named_query(name).ask(store, given).rows


def test_the_newest_revision_is_meant_when_none_is_named(store: Store) -> None:
    two_revisions(store)
    assert [row[0] for row in answer(store, "gaps")] == ["shop:g@5", "shop:h@7"]
    assert [row[0] for row in answer(store, "gaps", revision="old")] == ["shop:f@1"]


def test_gaps_are_certain_where_all_coverage_arrived_and_no_run_failed(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1}, {"qualname": "g", "line": 5})
    insert_spans(store, TracedSpan(id="s1", functions=["shop:f@1"]))
    assert [(row["symbol"], row["certain"]) for row in named_query("gaps").ask(store).records()] == [("shop:g@5", True)]
    incomplete = TracedSpan(id="s2", trace="t2", run="r2", profile="order", functions=[], complete=False)
    insert_spans(store, incomplete)
    assert [row["certain"] for row in named_query("gaps").ask(store).records()] == [False]
    assert [row["certain"] for row in named_query("gaps").ask(store, {"runs": ["r1"]}).records()] == [True]


def test_what_is_not_known_is_null(store: Store) -> None:
    """Neither shares without a catalog nor lines of what was recorded by function alone are 0."""
    insert_spans(store, TracedSpan(functions=["shop:f@1"], attributes={"coverage.granularity": "function"}))
    (row,) = named_query("leaderboard").ask(store).records()
    unknown = (
        "functions_covered",
        "functions_total",
        "percent",
        "lines",
        "lines_covered",
        "lines_total",
        "lines_percent",
    )
    assert [row["functions"], *(row[name] for name in unknown)] == [1, *[None] * 7]
    (row,) = named_query("module-leaderboard").ask(store).records()
    assert (row["functions"], row["functions_total"], row["percent"]) == (1, None, None)


def test_gaps_come_by_path_and_modules_by_the_size_of_their_gaps(store: Store) -> None:
    sizes = {"app": 1, "shop": 1, "shop.small": 1, "shop.large": 3, "tools.x": 2}
    functions = [(module, line) for module, size in sizes.items() for line in range(1, size + 1)]
    insert_catalog(store, *({"module": module, "qualname": f"f{line}", "line": line} for module, line in functions))
    insert_spans(store, TracedSpan(functions=["elsewhere:f@1"]))
    found = [(row["package"], row["module"], row["qualname"]) for row in named_query("gaps").ask(store).records()]
    assert found == [
        ("app", "app", "f1"),
        ("shop", "shop", "f1"),
        ("shop", "shop.large", "f1"),
        ("shop", "shop.large", "f2"),
        ("shop", "shop.large", "f3"),
        ("shop", "shop.small", "f1"),
        ("tools", "tools.x", "f1"),
        ("tools", "tools.x", "f2"),
    ]
    modules = [(row["package"], row["module"]) for row in named_query("modules").ask(store).records()]
    assert modules == [
        ("shop", "shop.large"),
        ("shop", "shop"),
        ("shop", "shop.small"),
        ("tools", "tools.x"),
        ("app", "app"),
    ]


def test_parameters_narrow_what_is_answered(store: Store) -> None:
    two_revisions(store)
    assert [row[:2] for row in answer(store, "matrix")] == [("checkout", "shop:f@1"), ("order", "shop:f@1")]
    assert [row[:2] for row in answer(store, "matrix", profile="order")] == [("order", "shop:f@1")]
    assert answer(store, "matrix", profile="'; DROP TABLE coverage_functions; --") == []
    assert answer(store, "gaps", module="elsewhere") == []
    assert answer(store, "gaps", namespace="acme") == []


def test_executed_functions_that_no_catalog_has_are_listed(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1})
    insert_spans(
        store,
        TracedSpan(id="s1", functions=["shop:f@1", "shop:made@90", "gone:f@1"]),
        TracedSpan(id="s2", functions=["shop:other@3"], revision="without"),
    )
    assert [row[0] for row in answer(store, "uncataloged")] == ["gone:f@1", "shop:made@90"]
    assert [row[0] for row in answer(store, "uncataloged", module="shop")] == ["shop:made@90"]
    assert answer(store, "uncataloged", revision="without") == []


def test_every_named_query_returns_what_its_view_has(store: Store) -> None:
    two_revisions(store)
    assert [row[:6] for row in answer(store, "reverse-index")] == [
        ("shop:f@1", "shop", "f", 1, 2, ["checkout", "order"])
    ]
    assert [row[:4] for row in answer(store, "modules")] == [("shop", 1, 3, 33.33)]
    assert [row[:5] for row in answer(store, "leaderboard")] == [(1, "checkout", 1, 1, 3), (1, "order", 1, 1, 3)]
    assert answer(store, "totals") == [(1, 3, 33.33, 0, 0, None, 1, 0, False)]
    assert [(row[0], row[1], row[12]) for row in answer(store, "runs")] == [
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
    assert answer(store, "redundancy") == [("checkout", 1, 0, ["order"], True), ("order", 1, 0, ["checkout"], False)]
    assert answer(store, "kept", chosen="order,it's none") == [(1, 1, 100.0)]
    assert answer(store, "kept") == [(0, 1, 0.0)]
    assert [(row[0], *row[3:]) for row in answer(store, "revisions")] == [("abc", 2, 1), ("old", 1, 1)]


def test_redundancy_and_diff_say_what_is_in_doubt_where_coverage_is_missing(store: Store) -> None:
    failed = {"coverage.complete": "false", "coverage.incomplete_reason": "greenlets"}
    insert_spans(
        store,
        TracedSpan(id="s1", trace="t0", revision="old", functions=["shop:f@1", "shop:gone@5"]),
        TracedSpan(id="s2", revision="abc", functions=["shop:f@1"], second=60, attributes=failed),
        TracedSpan(id="s3", revision="abc", functions=["shop:new@9"], second=61, profile="order"),
    )
    assert [(row[0], row[4]) for row in answer(store, "redundancy")] == [("checkout", False), ("order", True)]
    assert [(row[0], row[2], row[8]) for row in answer(store, "diff", base="old")] == [
        ("gained", "new", True),  # all of the revision without it arrived
        ("lost", "gone", False),
    ]


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
ROLES = st.sampled_from(["server", "consumer", "client", "producer", "root"])
NAMES = st.sampled_from(["a", "it's, \\'b"])  # any text may be a profile's name in the store
PLAYED = st.lists(
    st.tuples(ROLES, SERVICES, NAMES, st.sampled_from(["r1", "r2", ""]), st.sets(st.integers(1, 4), min_size=1)),
    max_size=8,
)
NARROWABLE = [query for query in QUERIES if {"services", "runs", "profiles"} & {each.name for each in query.parameters}]
# which profiles and runs there are does not depend on the service that is asked about
OF_RUNS = ("leaderboard", "runs", "redundancy", "flakiness", "incomplete", "verify")
# whether anything of a run arrived, and what the one before played, is asked of all runs and profiles
OF_ALL = ("absent-profiles", "lost-runs")
OF_ALL_REASONS = ("not_played", "nothing of it arrived", "no span of the playback client arrived")


def span(number: int, role: str, service: str, profile: str, run: str, lines: set[int]) -> TracedSpan:
    """One of a trace whose calls have answers, in part."""
    found = TracedSpan(
        id=f"s{number}", trace=f"{profile} {run}", service=service, profile=profile, run=run, second=number, role=role
    )
    if role == "root":
        return found.but(role="", outcome="failed" if 4 in lines else "passed")
    if role in ("client", "producer"):
        return found.but(revision="" if role == "client" else found.revision)
    return found.but(
        parent=f"s{number - 1}",
        functions=[f"shop:f{line}@{line}" for line in lines],
        lines=[f"shop.py:{','.join(map(str, sorted(lines)))}"],
        arcs=[],
        complete=3 not in lines,
    )


def answers(store: Store, queries: list[NamedQuery], spans: list[TracedSpan], **given: list[str]) -> dict[str, object]:
    """What the queries say of a store of these spans and a catalog."""
    forget(store)
    insert_catalog(store, *({"qualname": f"f{line}", "line": line, "executable_lines": [line]} for line in (1, 2)))
    insert_spans(store, *spans)
    found: dict[str, object] = {}
    for query in queries:
        values: dict[str, Value] = {**needed(query), **query.known(given)}
        if "revision" in query.bind(values):
            values["revision"] = "abc"
        found[query.name] = [
            row for row in query.ask(store, values).rows if not any(reason in str(row) for reason in OF_ALL_REASONS)
        ]
    return found


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(played=[("server", "worker", "a", "r1", {1})])
@given(played=PLAYED)
def test_a_query_about_one_service_finds_what_a_store_of_its_spans_alone_would(
    store: Store, played: list[tuple[str, str, str, str, set[int]]]
) -> None:
    """But for profiles, runs and times, which are the same whatever service is asked about."""
    # whoever queued a job may be in another service
    spans = [
        span(number, *each).but(parent="") for number, each in enumerate(played) if each[0] in ("server", "consumer")
    ]
    queries = [query for query in NARROWABLE if query.name not in (*OF_RUNS, *OF_ALL, "services", "revisions")]
    of_web = [each for each in spans if each.service == "web"]
    assert answers(store, queries, spans, services=["web"]) == answers(store, queries, of_web)


# a run that failed counts where it is all that is chosen; what has no run id may be a run's answer
FAILED_AND_PASSED: list[tuple[str, str, str, str, set[int]]] = [
    ("root", "playback", "a", "r1", {4}),
    ("server", "web", "a", "r1", {1, 2}),
    ("root", "playback", "a", "r2", {1}),
    ("producer", "web", "a", "r2", {1}),
    ("consumer", "worker", "a", "r2", {3, 4}),
    ("client", "playback", "a", "", {1}),
    ("client", "playback", "b", "r1", {1}),
    ("server", "web", "b", "r1", {2}),
]


@pytest.mark.parametrize(("runs", "profiles"), [({"r1"}, set()), ({"r1", "r2"}, {"a"})], ids=["a run", "a profile"])
def test_a_query_about_runs_of_which_one_failed_finds_what_a_store_of_their_spans_alone_would(
    store: Store, runs: set[str], profiles: set[str]
) -> None:
    assert_as_if_alone(store, FAILED_AND_PASSED, runs, profiles)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    played=PLAYED,
    runs=st.sets(st.sampled_from(["r1", "r2", ""]), min_size=1),
    profiles=st.sets(NAMES),
)
def test_a_query_about_some_runs_and_profiles_finds_what_a_store_of_their_spans_alone_would(
    store: Store, played: list[tuple[str, str, str, str, set[int]]], runs: set[str], profiles: set[str]
) -> None:
    assert_as_if_alone(store, played, runs, profiles)


def assert_as_if_alone(
    store: Store, played: list[tuple[str, str, str, str, set[int]]], runs: set[str], profiles: set[str]
) -> None:
    spans = [span(number, *each) for number, each in enumerate(played)]
    # the playback client reports every run: whether it ever did of a profile is asked of all runs
    reported = sorted({(profile, run) for _, _, profile, run, _ in played if run})
    spans += [span(100 + number, "root", "playback", *each, {1}) for number, each in enumerate(reported)]
    chosen = [each for each in spans if each.run in runs and (not profiles or each.profile in profiles)]
    queries = [query for query in NARROWABLE if query.name not in OF_ALL]
    narrowed = answers(store, queries, spans, runs=sorted(runs), profiles=sorted(profiles))
    assert narrowed == answers(store, queries, chosen)


def test_every_query_about_coverage_can_be_asked_about_some_services_runs_and_profiles() -> None:
    takes = {query.name: {parameter.name for parameter in query.parameters} for query in QUERIES}
    without = {"absent-profiles", "lost-runs", "revisions", "services", "tables"}
    assert {name for name, known in takes.items() if "services" not in known} == without
    assert {name for name, known in takes.items() if not {"runs", "profiles"} <= known} == {"routes", "tables"}


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
