"""The rows of each view, for a few spans."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_coverage.store import Store
from otel_coverage.store.folding import fold
from tests.support.examples import examples
from tests.support.spans import START, TracedSpan, every_column, insert_catalog, insert_spans

STARTUP = TracedSpan(id="up", trace="up", profile="_startup", run="", role="startup", name="startup", kind="Internal")

AT_0, AT_60, AT_90 = (datetime(2026, 1, 1, 0, second // 60, second % 60, tzinfo=timezone.utc) for second in (0, 60, 90))


def no_span_of_the_server(name: str) -> str:
    return (
        f"no span of the server arrived: {name}; usually the application was started without `otel-coverage run` or "
        "OTEL_COVERAGE_ENABLED=1, sends to another collector, or was killed"
    )


def no_span_of_the_job(name: str) -> str:
    return (
        f"no span of the job arrived: {name}; usually no worker has taken it, its worker was started without "
        "`otel-coverage run` or OTEL_COVERAGE_ENABLED=1, or was killed"
    )


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    return store.query(sql).rows


def three_requests(store: Store) -> None:
    """Profile `browse` runs f twice, `order` runs f and g; the second request came first."""
    insert_spans(
        store,
        TracedSpan(id="s2", trace="t2", profile="browse", second=60, functions=["shop:f@1"], lines=["shop.py:1-2"]),
        TracedSpan(id="s1", trace="t9", profile="browse", second=0, functions=["shop:f@1"], lines=["shop.py:2-3"]),
        TracedSpan(id="s3", trace="t3", profile="order", second=90, functions=["shop:f@1", "shop:g@5"]),
    )


def test_coverage_matrix_has_a_row_for_each_profile_and_function(store: Store) -> None:
    three_requests(store)
    result = store.query("SELECT * FROM coverage_matrix ORDER BY profile, line")
    assert result.columns == (
        "namespace",
        "revision",
        "profile",
        "module",
        "qualname",
        "line",
        "symbol",
        "first_seen",
        "last_seen",
        "exemplar_trace_id",
    )
    assert result.rows == [
        ("", "abc", "browse", "shop", "f", 1, "shop:f@1", AT_0, AT_60, "t2"),
        ("", "abc", "order", "shop", "f", 1, "shop:f@1", AT_90, AT_90, "t3"),
        ("", "abc", "order", "shop", "g", 5, "shop:g@5", AT_90, AT_90, "t3"),
    ]


def test_coverage_matrix_joins_what_several_services_and_runs_executed(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="s1", service="web", run="r1", functions=["shop:f@1"]),
        TracedSpan(id="s2", service="worker", run="r2", functions=["shop:f@1"], role="consumer"),
    )
    assert rows(store, "SELECT profile, symbol FROM coverage_matrix") == [("checkout", "shop:f@1")]


def test_coverage_matrix_keeps_revisions_and_namespaces_apart(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="s1", functions=["shop:f@1"]),
        TracedSpan(id="s2", functions=["shop:f@1"], revision="def"),
        TracedSpan(id="s3", functions=["shop:f@1"], namespace="acme"),
    )
    assert rows(store, "SELECT namespace, revision FROM coverage_matrix ORDER BY ALL") == [
        ("", "abc"),
        ("", "def"),
        ("acme", "abc"),
    ]


def test_symbol_profiles_is_the_reverse_index(store: Store) -> None:
    three_requests(store)
    assert rows(store, "SELECT * FROM symbol_profiles ORDER BY line") == [
        ("", "abc", "shop", "f", 1, "shop:f@1", ["browse", "order"], 2, AT_0, AT_90, "t2"),
        ("", "abc", "shop", "g", 5, "shop:g@5", ["order"], 1, AT_90, AT_90, "t3"),
    ]


CATALOG: tuple[dict[str, Any], ...] = (
    {"qualname": "f", "line": 1, "end_line": 3, "executable_lines": [2, 3]},
    {"qualname": "g", "line": 5, "end_line": 6, "executable_lines": [6]},
    {"qualname": "Order", "line": 8, "end_line": 20, "kind": "class", "executable_lines": [9]},
    {"qualname": "Order.total", "line": 10, "end_line": 12, "parent": "Order", "executable_lines": [11, 12]},
    {"qualname": "Order.paid", "line": 14, "end_line": 15, "parent": "Order", "executable_lines": [15]},
    {"qualname": "Refund", "line": 22, "end_line": 24, "kind": "class"},
    {"qualname": "Refund.total", "line": 23, "end_line": 24, "parent": "Refund", "executable_lines": [24]},
    {"qualname": "Error", "line": 26, "end_line": 27, "kind": "class", "executable_lines": [27]},
)


def test_coverage_gaps_are_functions_and_whole_classes_that_no_profile_executed(store: Store) -> None:
    insert_catalog(store, *CATALOG)
    insert_spans(store, TracedSpan(functions=["shop:f@1", "shop:Order.total@10"]))
    result = store.query("SELECT * FROM coverage_gaps ORDER BY line")
    assert result.columns == (
        "namespace",
        "revision",
        "module",
        "qualname",
        "line",
        "symbol",
        "kind",
        "file",
        "end_line",
        "parent",
        "executable_lines",
        "at_startup",
    )
    assert result.rows == [
        ("", "abc", "shop", "g", 5, "shop:g@5", "function", "shop.py", 6, "", 1, False),
        ("", "abc", "shop", "Order.paid", 14, "shop:Order.paid@14", "function", "shop.py", 15, "Order", 1, False),
        ("", "abc", "shop", "Refund", 22, "shop:Refund@22", "class", "shop.py", 24, "", 0, False),
        ("", "abc", "shop", "Refund.total", 23, "shop:Refund.total@23", "function", "shop.py", 24, "Refund", 1, False),
    ]


def test_gaps_tell_what_runs_at_start_from_what_never_runs(store: Store) -> None:
    insert_catalog(store, *CATALOG)
    insert_spans(
        store,
        TracedSpan(functions=["shop:f@1"]),
        STARTUP.but(functions=["shop:f@1", "shop:Refund.total@23"]),
        STARTUP.but(id="up2", revision="def", functions=["shop:g@5"]),
    )
    assert rows(store, "SELECT symbol, at_startup FROM coverage_gaps ORDER BY line") == [
        ("shop:g@5", False),
        ("shop:Order@8", False),
        ("shop:Order.total@10", False),
        ("shop:Order.paid@14", False),
        ("shop:Refund@22", True),
        ("shop:Refund.total@23", True),
    ]
    assert rows(store, "SELECT functions_covered, functions_at_startup, functions_total FROM module_gaps") == [
        (1, 1, 5)
    ]


def test_what_runs_at_start_is_in_no_table_and_no_view_of_profiles(store: Store) -> None:
    insert_catalog(store, *CATALOG)
    arcs = ["shop.py:-1/2/-1"]
    insert_spans(
        store,
        *a_playback(),
        STARTUP.but(functions=["shop:h@9", "shop:g@5"], lines=["shop.py:9-12"], arcs=arcs),
        STARTUP.but(id="up2", parent="up", role="part", functions=["shop:i@19"], complete=False, reason="oops"),
        STARTUP.but(id="up3", service="worker", functions=["shop:h@9"]),
        STARTUP.but(id="up4", service="mailer", functions=[]),
        STARTUP.but(id="up5", service="routes", role="routes", functions=None),
    )
    relations = rows(
        store,
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE '%_mv'"
        " AND name NOT IN ('otel_traces', 'coverage_startup', 'coverage_schema', 'coverage_intake')",
    )
    assert len(relations) > 20
    known = {name: str(rows(store, f"SELECT * FROM {name}")) for (name,) in relations}
    assert [name for name, found in known.items() if "_startup" in found] == []
    assert [name for name, found in known.items() if "shop:h" in found or "'h'" in found or "'i'" in found] == []
    assert rows(store, "SELECT complete FROM profile_runs") == [(True,)]
    assert rows(store, "SELECT service, qualname FROM coverage_startup FINAL ORDER BY ALL") == [
        ("mailer", ""),
        ("web", "g"),
        ("web", "h"),
        ("web", "i"),
        ("worker", "h"),
    ]


def test_coverage_at_another_revision_closes_no_gap(store: Store) -> None:
    insert_catalog(store, CATALOG[0])
    insert_spans(store, TracedSpan(functions=["shop:f@1"], revision="def"))
    assert rows(store, "SELECT symbol FROM coverage_gaps") == [("shop:f@1",)]


def test_a_function_at_another_line_is_another_function(store: Store) -> None:
    insert_catalog(store, {"qualname": "C.x", "line": 2}, {"qualname": "C.x", "line": 5})
    insert_spans(store, TracedSpan(functions=["shop:C.x@5"]))
    assert rows(store, "SELECT symbol FROM coverage_gaps") == [("shop:C.x@2",)]


def test_a_class_that_is_defined_twice_is_covered_where_its_own_method_ran(store: Store) -> None:
    insert_catalog(
        store,
        {"qualname": "C", "line": 2, "end_line": 4, "kind": "class"},
        {"qualname": "C.x", "line": 3, "parent": "C"},
        {"qualname": "C", "line": 6, "end_line": 8, "kind": "class"},
        {"qualname": "C.x", "line": 7, "parent": "C"},
    )
    insert_spans(store, TracedSpan(functions=["shop:C.x@7"]))
    assert rows(store, "SELECT symbol FROM coverage_gaps ORDER BY line") == [("shop:C@2",), ("shop:C.x@3",)]


def test_a_push_replaces_the_whole_catalog_of_its_revision(store: Store) -> None:
    insert_catalog(store, *CATALOG, push=1)
    insert_catalog(store, CATALOG[0], revision="def", push=1)
    insert_catalog(store, CATALOG[1], push=2)
    assert rows(store, "SELECT revision, symbol FROM coverage_gaps ORDER BY ALL") == [
        ("abc", "shop:g@5"),
        ("def", "shop:f@1"),
    ]


def test_executed_functions_that_the_catalog_does_not_hold_are_no_part_of_it(store: Store) -> None:
    insert_catalog(store, CATALOG[0])
    insert_spans(store, TracedSpan(functions=["other:h@1"]))
    assert rows(store, "SELECT symbol, functions_covered FROM symbol_coverage") == [("shop:f@1", 0)]


def test_symbol_coverage_counts_a_classes_own_functions(store: Store) -> None:
    insert_catalog(store, *CATALOG)
    insert_spans(store, TracedSpan(functions=["shop:Order.total@10", "shop:f@1"]))
    assert rows(store, "SELECT symbol, functions, functions_covered FROM symbol_coverage ORDER BY line") == [
        ("shop:f@1", 1, 1),
        ("shop:g@5", 1, 0),
        ("shop:Order@8", 2, 1),
        ("shop:Order.total@10", 1, 1),
        ("shop:Order.paid@14", 1, 0),
        ("shop:Refund@22", 1, 0),
        ("shop:Refund.total@23", 1, 0),
        ("shop:Error@26", 0, 0),
    ]


def test_module_gaps_count_functions_and_executable_lines(store: Store) -> None:
    insert_catalog(
        store,
        *CATALOG,
        {"module": "jobs", "qualname": "mail", "line": 1, "file": "jobs.py", "executable_lines": [2]},
        {"module": "errors", "qualname": "Bad", "line": 1, "file": "errors.py", "kind": "class"},
    )
    insert_spans(
        store,
        TracedSpan(id="s1", functions=["shop:f@1", "shop:Order.total@10"], lines=["shop.py:1-2,9,11"]),
        TracedSpan(id="s2", profile="other", functions=["shop:f@1"], lines=["shop.py:2-3", "elsewhere.py:1-9"]),
    )
    result = store.query("SELECT * FROM module_gaps ORDER BY module")
    assert result.columns == (
        "namespace",
        "revision",
        "module",
        "functions_covered",
        "functions_total",
        "percent",
        "lines_covered",
        "lines_total",
        "lines_percent",
        "functions_at_startup",
    )
    assert result.rows == [
        ("", "abc", "errors", 0, 0, 100.0, 0, 0, 100.0, 0),
        ("", "abc", "jobs", 0, 1, 0.0, 0, 1, 0.0, 0),
        # 2, 3 and 11 of 2, 3, 6, 11, 12, 15 and 24; 9 and 27 are class bodies'
        ("", "abc", "shop", 2, 5, 40.0, 3, 7, 42.86, 0),
    ]


def a_playback(profile: str = "checkout", **changes: Any) -> list[TracedSpan]:
    """The spans of one request and the job that it enqueued, with the playback client's."""
    client = TracedSpan(profile=profile, service="playback", revision="", **changes)
    return [
        client.but(id=f"{profile}-root", role="", name=f"playback {profile}", outcome="passed"),
        client.but(id=f"{profile}-c", parent=f"{profile}-root", role="client", name="POST /orders"),
        client.but(
            id=f"{profile}-s",
            parent=f"{profile}-c",
            service="web",
            revision="abc",
            second=60,
            functions=["shop:f@1"],
            lines=["shop.py:1-3"],
        ),
        client.but(
            id=f"{profile}-p", parent=f"{profile}-s", role="producer", service="web", revision="abc", name="shop.mail"
        ),
        client.but(
            id=f"{profile}-j",
            parent=f"{profile}-p",
            role="consumer",
            service="worker",
            revision="abc",
            name="job mail",
            second=90,
            functions=["shop:g@5"],
        ),
    ]


COMPLETENESS = """
    SELECT kind, name, service, arrived, complete, incomplete_reason, span FROM run_completeness ORDER BY kind, span
"""


def test_run_completeness_finds_every_request_and_job(store: Store) -> None:
    insert_spans(store, *a_playback())
    assert rows(store, COMPLETENESS) == [
        ("job", "shop.mail", "worker", True, True, "", "checkout-j"),
        ("request", "POST /orders", "web", True, True, "", "checkout-s"),
    ]


def test_run_completeness_misses_what_never_arrived(store: Store) -> None:
    spans = a_playback()
    lost = TracedSpan(id="c2", parent="checkout-root", role="client", name="GET /lost", service="playback", revision="")
    insert_spans(store, *spans[:-1], lost)
    assert rows(store, COMPLETENESS) == [
        ("job", "shop.mail", "", False, False, "no_consumer_span", "checkout-p"),
        ("request", "GET /lost", "", False, False, "no_server_span", "c2"),
        ("request", "POST /orders", "web", True, True, "", "checkout-s"),
    ]
    assert rows(store, "SELECT DISTINCT revision FROM run_completeness") == [("abc",)]


def test_run_completeness_expects_no_answer_to_the_applications_own_calls(store: Store) -> None:
    call = TracedSpan(service="web", trace="t1", role="", kind="Client", name="POST /charge")
    insert_spans(
        store,
        *a_playback(),
        call.but(id="from-view", parent="checkout-s"),
        call.but(id="from-job", parent="checkout-j", service="worker"),
        call.but(id="from-lost-internal-span", parent="gone"),
    )
    assert [row[-1] for row in rows(store, COMPLETENESS)] == ["checkout-j", "checkout-s"]


def test_run_completeness_needs_no_root_span_of_the_playback(store: Store) -> None:
    _, *spans = a_playback()
    insert_spans(store, *spans, spans[0].but(id="c2", name="GET /lost"))
    assert rows(store, f"SELECT name, incomplete_reason FROM ({COMPLETENESS}) WHERE NOT complete") == [
        ("GET /lost", "no_server_span"),
    ]


def test_run_completeness_misses_a_request_of_a_run_of_which_nothing_arrived_at_all(store: Store) -> None:
    insert_spans(store, *a_playback()[:2], *a_playback("other", run="r2", trace="t2"))
    assert rows(store, "SELECT revision, profile, run, name, arrived FROM run_completeness WHERE NOT complete") == [
        ("", "checkout", "r1", "POST /orders", False),
    ]
    assert rows(store, "SELECT revision, profile, missing, complete FROM profile_runs WHERE NOT complete") == [
        ("", "checkout", 1, False),
    ]


def test_run_completeness_misses_a_request_of_a_client_without_a_run_id(store: Store) -> None:
    root, asks, answers, *_ = a_playback(run="")
    lost = asks.but(id="lost", name="GET /lost")
    elsewhere = a_playback("other", run="", trace="t2")
    insert_spans(
        store, root, asks, answers.but(run="set there"), lost, *elsewhere[:2], elsewhere[2].but(revision="def")
    )
    fold(store)
    assert rows(store, "SELECT revision, profile, run, name, arrived FROM run_completeness ORDER BY ALL") == [
        ("abc", "checkout", "set there", "GET /lost", False),
        ("abc", "checkout", "set there", "POST /orders", True),
        ("def", "other", "gap-20260101t000000", "POST /orders", True),
    ]


def test_run_completeness_has_each_answer_to_a_call_that_was_sent_again(store: Store) -> None:
    spans = a_playback()[:3]
    insert_spans(store, *spans, spans[2].but(id="again", second=70))
    assert rows(store, COMPLETENESS) == [
        ("request", "POST /orders", "web", True, True, "", "again"),
        ("request", "POST /orders", "web", True, True, "", "checkout-s"),
    ]


def test_run_completeness_finds_the_answer_in_the_run_that_the_answering_service_was_configured_with(
    store: Store,
) -> None:
    entry = TracedSpan(id="s", run="", functions=[])
    enqueues = TracedSpan(id="p", run="", parent="s", role="producer", name="shop.mail")
    job = TracedSpan(id="j", run="set there", parent="p", role="consumer", service="worker", functions=[])
    insert_spans(store, entry, enqueues, job)
    fold(store)
    assert rows(store, "SELECT run, name, arrived FROM run_completeness ORDER BY run, name") == [
        ("set there", "GET /", True),
        ("set there", "shop.mail", True),
    ]


def test_run_completeness_misses_a_job_of_a_caller_without_a_run_id(store: Store) -> None:
    enqueues = TracedSpan(id="p", run="", parent="s", role="producer", name="shop.mail")
    job = TracedSpan(id="j", run="set there", parent="p", role="consumer", service="worker", functions=[])
    insert_spans(store, enqueues, job, enqueues.but(id="q", name="shop.pack"))
    fold(store)
    assert rows(store, "SELECT revision, run, name, arrived FROM run_completeness ORDER BY run, name") == [
        ("abc", "set there", "shop.mail", True),
        ("abc", "set there", "shop.pack", False),
    ]


def test_run_completeness_misses_a_job_in_a_session_of_which_nothing_else_arrived(store: Store) -> None:
    enqueues = TracedSpan(id="p", parent="s", role="producer", name="shop.mail")
    insert_spans(store, enqueues, enqueues.but(id="q", run="", trace="t2"))
    fold(store)
    assert rows(store, "SELECT revision, run, name, arrived FROM run_completeness ORDER BY run") == [
        ("abc", "gap-20260101t000000", "shop.mail", False),
        ("abc", "r1", "shop.mail", False),
    ]


def test_run_completeness_looks_for_the_answer_at_every_revision(store: Store) -> None:
    _, asks, answers, enqueues, performs = a_playback()
    other = TracedSpan(id="old", parent="nobody", revision="def", service="old web", functions=[])
    insert_spans(store, asks, answers, enqueues, performs.but(revision="def"), other)
    assert rows(store, "SELECT revision, service, arrived FROM run_completeness ORDER BY ALL") == [
        ("abc", "web", True),
        ("def", "old web", True),
        ("def", "worker", True),
    ]


def test_run_completeness_counts_an_incomplete_part_against_its_request(store: Store) -> None:
    part = TracedSpan(id="part", parent="checkout-s", role="part", functions=["shop:h@9", "cut off"])
    insert_spans(store, *a_playback()[:3], part)
    assert rows(store, COMPLETENESS) == [
        ("request", "POST /orders", "web", True, False, "counts_differ", "checkout-s"),
    ]


def test_run_completeness_knows_requests_that_no_playback_client_sent(store: Store) -> None:
    insert_spans(store, TracedSpan(parent="", functions=[], name="GET /cart"))
    assert rows(store, COMPLETENESS) == [("request", "GET /cart", "web", True, True, "", "s1")]


def test_run_completeness_is_made_of_recorded_and_missing_requests(store: Store) -> None:
    spans = a_playback()
    insert_spans(store, *spans[:-1])
    assert rows(store, "SELECT revision, run, kind, name, service, complete, span FROM recorded_requests") == [
        ("abc", "r1", "request", "GET /", "web", True, "checkout-s"),
    ]
    assert rows(store, "SELECT revision, run, kind, name, incomplete_reason, span FROM missing_requests") == [
        ("abc", "r1", "job", "shop.mail", "no_consumer_span", "checkout-p"),
    ]


def test_coverage_runs_has_a_row_for_each_profile_and_run_and_one_for_what_the_client_reports(store: Store) -> None:
    insert_spans(store, *a_playback())
    columns = "revision, profile, run, recorded, covered, passed, failed, first_seen, last_seen, exemplar_trace_id"
    assert rows(store, f"SELECT {columns} FROM coverage_runs FINAL ORDER BY revision") == [
        ("", "checkout", "r1", False, False, True, False, AT_0, AT_0, "t1"),
        ("abc", "checkout", "r1", True, True, False, False, AT_60, AT_90, "t1"),
    ]


def test_coverage_by_symbol_has_a_row_for_each_function_of_a_run_with_its_profiles(store: Store) -> None:
    three_requests(store)
    assert rows(
        store,
        "SELECT revision, module, qualname, line, run, first_seen, last_seen, exemplar_trace_id,"
        " arraySort(profiles) FROM coverage_by_symbol FINAL ORDER BY line",
    ) == [
        ("abc", "shop", "f", 1, "r1", AT_0, AT_90, "t2", ["browse", "order"]),
        ("abc", "shop", "g", 5, "r1", AT_90, AT_90, "t3", ["order"]),
    ]


def test_profile_runs_says_when_how_it_went_and_what_is_missing(store: Store) -> None:
    failed = a_playback("order", run="r2", trace="t2")
    failed[0] = failed[0].but(outcome="failed")
    insert_spans(store, *a_playback(), *failed[:-1])
    result = store.query("SELECT * FROM profile_runs ORDER BY profile")
    assert result.records() == [
        {
            "namespace": "",
            "revision": "abc",
            "profile": "checkout",
            "run": "r1",
            "first_seen": AT_60,
            "last_seen": AT_90,
            "outcome": "passed",
            "evidence": "client",
            "counted": True,
            "requests": 1,
            "jobs": 1,
            "processes": 0,
            "missing": 0,
            "pending": 0,
            "incomplete_requests": 0,
            "complete": True,
            "incomplete_reasons": [],
            "incomplete_details": [],
            "exemplar_trace_id": "t1",
        },
        {
            "namespace": "",
            "revision": "abc",
            "profile": "order",
            "run": "r2",
            "first_seen": AT_0,
            "last_seen": AT_60,
            "outcome": "failed",
            "evidence": "client",
            "counted": True,
            "requests": 1,
            "jobs": 0,
            "processes": 0,
            "missing": 1,
            "pending": 0,
            "incomplete_requests": 1,
            "complete": False,
            "incomplete_reasons": ["no_consumer_span"],
            "incomplete_details": [no_span_of_the_job("shop.mail")],
            "exemplar_trace_id": "t2",
        },
    ]


def test_a_run_in_which_nothing_arrived_belongs_to_the_revision_of_the_others(store: Store) -> None:
    insert_spans(store, *a_playback("good"), *a_playback("lost")[:2])
    assert rows(store, "SELECT revision, profile, missing, complete FROM profile_runs ORDER BY profile") == [
        ("abc", "good", 0, True),
        ("abc", "lost", 1, False),
    ]


def test_profile_leaderboard_ranks_by_functions_and_says_what_is_complete(store: Store) -> None:
    insert_catalog(store, *CATALOG)
    order = a_playback("order", trace="t2")
    order[2] = order[2].but(functions=["shop:f@1", "shop:Order.total@10", "plugin:unknown@1"], lines=["shop.py:1-2"])
    insert_spans(store, *a_playback(), *order[:-1], *a_playback("lost", trace="t3")[:2])
    result = store.query("SELECT * FROM profile_leaderboard ORDER BY position")
    assert result.records() == [
        {
            "namespace": "",
            "revision": "abc",
            "profile": "order",
            "position": 1,
            "functions": 3,
            "functions_covered": 2,
            "functions_total": 5,
            "percent": 40.0,
            "lines": 2,
            "lines_total": 7,
            "lines_covered": 1,
            "lines_percent": 14.29,
            "runs": 1,
            "failed_runs": 0,
            "counted_runs": 1,
            "requests": 1,
            "jobs": 0,
            "pending": 0,
            "incomplete_requests": 1,
            "complete": False,
            "incomplete_reasons": ["no_consumer_span"],
            "incomplete_details": [no_span_of_the_job("shop.mail")],
            "first_seen": AT_0,
            "last_seen": AT_60,
            "exemplar_trace_id": "t2",
        },
        {
            "namespace": "",
            "revision": "abc",
            "profile": "checkout",
            "position": 2,
            "functions": 2,
            "functions_covered": 2,
            "functions_total": 5,
            "percent": 40.0,
            "lines": 3,
            "lines_total": 7,
            "lines_covered": 2,
            "lines_percent": 28.57,
            "runs": 1,
            "failed_runs": 0,
            "counted_runs": 1,
            "requests": 1,
            "jobs": 1,
            "pending": 0,
            "incomplete_requests": 0,
            "complete": True,
            "incomplete_reasons": [],
            "incomplete_details": [],
            "first_seen": AT_60,
            "last_seen": AT_90,
            "exemplar_trace_id": "t1",
        },
        {
            "namespace": "",
            "revision": "abc",
            "profile": "lost",
            "position": 3,
            "functions": 0,
            "functions_covered": 0,
            "functions_total": 5,
            "percent": 0.0,
            "lines": 0,
            "lines_total": 7,
            "lines_covered": 0,
            "lines_percent": 0.0,
            "runs": 1,
            "failed_runs": 0,
            "counted_runs": 1,
            "requests": 0,
            "jobs": 0,
            "pending": 0,
            "incomplete_requests": 1,
            "complete": False,
            "incomplete_reasons": ["no_server_span"],
            "incomplete_details": [no_span_of_the_server("POST /orders")],
            "first_seen": AT_0,
            "last_seen": AT_0,
            "exemplar_trace_id": "t3",
        },
    ]


def test_profile_leaderboard_without_a_catalog_knows_no_share(store: Store) -> None:
    three_requests(store)
    found = rows(
        store, "SELECT profile, functions, functions_total, percent, lines FROM profile_leaderboard ORDER BY ALL"
    )
    assert found == [("browse", 1, 0, None, 3), ("order", 2, 0, None, 0)]


def test_redelivered_spans_change_no_number_of_any_view(store: Store) -> None:
    insert_catalog(store, *CATALOG)
    spans = [*a_playback(), *a_playback("order", trace="t2")[:-1]]
    insert_spans(store, *spans)
    views = [
        row[0]
        for row in rows(store, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'")
    ]
    views = [view for view in views if not view.startswith("counted_")]  # which show the tables' rows, merged or not
    assert "coverage_matrix" in views

    def answers() -> dict[str, list[tuple[Any, ...]]]:
        return {view: rows(store, f"SELECT {every_column(view)} FROM {view} ORDER BY ALL") for view in views}

    before = answers()
    insert_spans(store, *spans[2:], *spans[:3])
    assert answers() == before


def forget(store: Store) -> None:
    tables = rows(
        store,
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND endsWith(engine, 'MergeTree')"
        " AND name NOT IN ('otel_traces', 'coverage_schema')",
    )
    for (table,) in tables:
        store.command(f"TRUNCATE TABLE {table}")


PROFILES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.sets(st.integers(1, 6))
SEEN = st.lists(st.tuples(PROFILES, NUMBERS), max_size=6)


@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seen=SEEN, known=NUMBERS)
def test_matrix_and_reverse_index_are_transposes_and_gaps_and_covered_make_up_the_catalog(
    store: Store, seen: list[tuple[str, set[int]]], known: set[int]
) -> None:
    forget(store)
    spans = [
        TracedSpan(id=f"s{number}", profile=profile, functions=[f"shop:f{line}@{line}" for line in sorted(lines)])
        for number, (profile, lines) in enumerate(seen)
    ]
    insert_spans(store, *spans)
    insert_catalog(store, *({"qualname": f"f{line}", "line": line} for line in known))

    expected = {(profile, line) for profile, lines in seen for line in lines}
    matrix = rows(store, "SELECT profile, line FROM coverage_matrix")
    reverse = rows(store, "SELECT arrayJoin(profiles), line FROM symbol_profiles")
    assert sorted(matrix) == sorted(reverse) == sorted(expected)

    gaps = {line for (line,) in rows(store, "SELECT line FROM coverage_gaps")}
    covered = {line for (line,) in rows(store, "SELECT line FROM symbol_coverage WHERE functions_covered > 0")}
    assert gaps | covered == known
    assert not gaps & covered
    assert covered == known & {line for _, line in expected}


RUNS = st.lists(
    st.tuples(PROFILES, st.sampled_from(["r1", "r2"]), st.sampled_from(["passed", "failed"]), NUMBERS), max_size=6
)


@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(played=RUNS)
def test_the_reverse_index_has_the_profiles_that_count_and_the_times_of_all(
    store: Store, played: list[tuple[str, str, str, set[int]]]
) -> None:
    forget(store)
    seen: dict[int, list[tuple[str, str, datetime, str]]] = {}
    for number, (profile, run, outcome, lines) in enumerate(played):
        trace, second = f"t{-number % 4}", number * 7 % 5
        functions = [f"shop:f{line}@{line}" for line in sorted(lines)]
        entry = TracedSpan(id="s", trace=trace, profile=profile, run=run, second=second, functions=functions)
        insert_spans(store, entry, entry.but(id="root", functions=None, role="", revision="", outcome=outcome))
        for line in lines:
            seen.setdefault(line, []).append(
                (profile, run, datetime.fromtimestamp(START + second, timezone.utc), trace)
            )

    failed = {(profile, run) for profile, run, outcome, _ in played if outcome == "failed"}
    better = {profile for profile, run, _, _ in played if (profile, run) not in failed}
    expected = {}
    for line, executions in seen.items():
        names = {name for name, run, _, _ in executions if (name, run) not in failed or name not in better}
        times = [at for _, _, at, _ in executions]
        if names:
            expected[line] = (sorted(names), min(times), max(times), min(trace for *_, trace in executions))
    found = rows(store, "SELECT line, profiles, first_seen, last_seen, exemplar_trace_id FROM symbol_profiles")
    assert {line: tuple(row) for line, *row in found} == expected


SPANS_OF_LINES = st.lists(
    st.tuples(
        PROFILES,
        st.sampled_from(["web", "worker"]),
        st.lists(st.tuples(st.integers(1, 12), st.integers(0, 4)), min_size=1, max_size=3),
    ),
    max_size=5,
)


@settings(max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=SPANS_OF_LINES)
def test_lines_are_counted_once_however_ranges_overlap(
    store: Store, spans: list[tuple[str, str, list[tuple[int, int]]]]
) -> None:
    forget(store)
    insert_catalog(store, {"qualname": "f", "line": 1, "end_line": 20, "executable_lines": list(range(2, 11))})
    executed: dict[str, set[int]] = {}
    for number, (profile, service, ranges) in enumerate(spans):
        lines = ["shop.py:" + ",".join(f"{first}-{first + more}" for first, more in ranges)]
        insert_spans(store, TracedSpan(id=f"s{number}", profile=profile, service=service, functions=[], lines=lines))
        executed.setdefault(profile, set()).update(*(range(first, first + more + 1) for first, more in ranges))
    assert dict(rows(store, "SELECT profile, lines FROM profile_leaderboard")) == {
        profile: len(numbers) for profile, numbers in executed.items()
    }
    covered = set().union(*executed.values()) & set(range(2, 11))
    assert rows(store, "SELECT lines_covered, lines_total FROM module_gaps") == [(len(covered), 9)]


def test_overlapping_ranges_take_no_more_memory_than_the_lines_that_they_name(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1, "executable_lines": [2, 3]})
    ranges = ",".join(f"{first}-1000000" for first in range(1, 101))
    insert_spans(store, TracedSpan(functions=[], lines=[f"shop.py:{ranges}"]))
    limited = "SETTINGS max_memory_usage = 100000000"  # bytes; a hundred million numbers take four times as many
    assert rows(store, f"SELECT lines_covered, lines_total FROM module_gaps {limited}") == [(2, 2)]
    assert rows(store, f"SELECT lines FROM profile_leaderboard {limited}") == [(1_000_000,)]


def test_module_leaderboard_ranks_modules_by_what_is_executed_of_them(store: Store) -> None:
    insert_catalog(store, *CATALOG)
    insert_spans(
        store,
        TracedSpan(id="s1", functions=["shop:f@1", "shop:g@5", "jobs:mail@1"]),
        TracedSpan(id="s2", trace="t2", profile="order", second=60, functions=["shop:f@1"]),
    )
    result = store.query("SELECT * FROM module_leaderboard ORDER BY position")
    assert result.columns == (
        "namespace",
        "revision",
        "module",
        "position",
        "functions",
        "functions_total",
        "percent",
        "profiles",
        "first_seen",
        "last_seen",
        "exemplar_trace_id",
    )
    assert result.rows == [
        ("", "abc", "shop", 1, 2, 5, 40.0, 2, AT_0, AT_60, "t1"),
        ("", "abc", "jobs", 2, 1, 0, None, 1, AT_0, AT_0, "t1"),
    ]


def test_profile_overlap_compares_every_profile_with_every_other(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="s1", profile="all", functions=["shop:f@1", "shop:g@5", "shop:h@7"]),
        TracedSpan(id="s2", profile="some", functions=["shop:f@1", "shop:g@5"]),
        TracedSpan(id="s3", profile="other", functions=["jobs:mail@1"]),
        TracedSpan(id="s4", profile="elsewhere", functions=["shop:f@1"], revision="def"),
    )
    result = store.query("SELECT * FROM profile_overlap ORDER BY profile, other")
    assert result.columns == (
        "namespace",
        "revision",
        "profile",
        "other",
        "functions",
        "other_functions",
        "shared",
        "jaccard",
        "is_subset",
    )
    assert result.rows == [
        ("", "abc", "all", "other", 3, 1, 0, 0.0, False),
        ("", "abc", "all", "some", 3, 2, 2, 0.6667, False),
        ("", "abc", "other", "all", 1, 3, 0, 0.0, False),
        ("", "abc", "other", "some", 1, 2, 0, 0.0, False),
        ("", "abc", "some", "all", 2, 3, 2, 0.6667, True),
        ("", "abc", "some", "other", 2, 1, 0, 0.0, False),
    ]


def test_profile_unique_has_the_functions_that_only_one_profile_reaches(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="s1", profile="all", functions=["shop:f@1", "shop:h@7", "shop:g@5"]),
        TracedSpan(id="s2", profile="some", functions=["shop:f@1"]),
    )
    assert rows(store, "SELECT * FROM profile_unique ORDER BY profile") == [
        ("", "abc", "all", 3, 2, ["shop:g@5", "shop:h@7"]),
        ("", "abc", "some", 1, 0, []),
    ]


def test_revision_diff_ignores_lines_and_looks_both_ways(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="s1", revision="old", functions=["shop:f@1", "shop:gone@5"]),
        TracedSpan(id="s2", revision="new", functions=["shop:f@9", "shop:added@7"]),
        TracedSpan(id="s3", trace="t3", second=60, revision="new", functions=["shop:added@7"], profile="order"),
        TracedSpan(id="s4", revision="new", namespace="acme", functions=["shop:other@7"]),
    )
    result = store.query("SELECT * FROM revision_diff ORDER BY base, change")
    assert result.columns == (
        "namespace",
        "base",
        "revision",
        "module",
        "qualname",
        "change",
        "line",
        "profiles",
        "first_seen",
        "last_seen",
        "exemplar_trace_id",
    )
    assert result.rows == [
        ("", "new", "old", "shop", "gone", "gained", 5, ["checkout"], AT_0, AT_0, "t1"),
        ("", "new", "old", "shop", "added", "lost", 7, ["checkout", "order"], AT_0, AT_60, "t1"),
        ("", "old", "new", "shop", "added", "gained", 7, ["checkout", "order"], AT_0, AT_60, "t1"),
        ("", "old", "new", "shop", "gone", "lost", 5, ["checkout"], AT_0, AT_0, "t1"),
    ]


def two_runs(second: str, **changes: Any) -> list[TracedSpan]:
    """Profile `checkout` runs f and g; the run `second` fails, having run f and something that handles errors."""
    root = TracedSpan(id="root1", trace="t1", role="", outcome="passed", service="playback", revision="")
    return [
        root,
        TracedSpan(id="s1", trace="t1", functions=["shop:f@1", "shop:g@5"], lines=["shop.py:1-6"]),
        root.but(id="root2", trace="t2", run=second, outcome="failed"),
        TracedSpan(
            id="s2", trace="t2", run=second, functions=["shop:f@1", "shop:oops@9"], lines=["shop.py:9"], **changes
        ),
    ]


def test_a_run_that_failed_does_not_count_beside_one_that_did_not(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1}, {"qualname": "oops", "line": 9, "executable_lines": [9]})
    insert_spans(store, *two_runs("r2", complete=False, reason="greenlets"))
    assert rows(store, "SELECT run, outcome, counted FROM profile_runs ORDER BY run") == [
        ("r1", "passed", True),
        ("r2", "failed", False),
    ]
    expected = [("shop:f@1",), ("shop:g@5",)]
    assert rows(store, "SELECT symbol FROM coverage_matrix ORDER BY symbol") == expected
    assert rows(store, "SELECT symbol FROM symbol_profiles ORDER BY symbol") == expected
    assert rows(store, "SELECT symbol FROM coverage_gaps") == [("shop:oops@9",)]
    assert rows(store, "SELECT functions_covered, lines_covered FROM module_gaps") == [(1, 0)]
    columns = "functions, lines, runs, failed_runs, counted_runs, requests, complete"
    assert rows(store, f"SELECT {columns} FROM profile_leaderboard") == [(2, 6, 2, 1, 1, 1, True)]
    assert rows(store, "SELECT functions FROM module_leaderboard") == [(2,)]


def test_a_run_that_failed_counts_where_its_profile_has_no_better_one(store: Store) -> None:
    insert_spans(store, *two_runs("r2", revision="def"))
    assert rows(store, "SELECT revision, run, counted FROM profile_runs ORDER BY run") == [
        ("abc", "r1", True),
        ("def", "r2", True),
    ]
    assert rows(store, "SELECT symbol FROM coverage_matrix WHERE revision = 'def' ORDER BY symbol") == [
        ("shop:f@1",),
        ("shop:oops@9",),
    ]


def test_symbol_flakiness_has_what_only_some_whole_runs_of_a_profile_executed(store: Store) -> None:
    span = TracedSpan(functions=["shop:f@1"])
    insert_spans(
        store,
        span.but(id="s1", run="r1", trace="t1", functions=["shop:f@1", "shop:g@5"]),
        span.but(id="s2", run="r2", trace="t2", second=60),
        span.but(id="s3", run="r3", trace="t3", second=90, functions=["shop:f@1", "shop:g@5"]),
        span.but(id="s4x", run="r4", trace="t4", functions=[], complete=False, reason="greenlets"),
        span.but(id="s5", run="r1", trace="t5", profile="order"),
        *two_runs("r5")[2:],
    )
    result = store.query("SELECT * FROM symbol_flakiness")
    assert result.columns == (
        "namespace",
        "revision",
        "profile",
        "module",
        "qualname",
        "line",
        "symbol",
        "runs_with",
        "runs",
        "runs_without",
        "first_seen",
        "last_seen",
        "exemplar_trace_id",
    )
    assert result.rows == [
        ("", "abc", "checkout", "shop", "g", 5, "shop:g@5", 2, 3, ["r2"], AT_0, AT_90, "t1"),
    ]
