"""Entry points: what runs under routes, jobs and commands, and which of them no profile reaches."""

from __future__ import annotations

import json
from typing import Any

from otel_coverage.store import Store
from otel_coverage.store.folding import fold
from otel_coverage.store.named_queries import named_query
from tests.support.spans import Rendering, TracedSpan, array, insert_catalog, insert_spans

FIND, SHOW, SHIP = "shop.db:find@9", "shop.views:show@3", "shop.jobs:ship@1"
REQUEST = TracedSpan(
    functions=[FIND, SHOW],
    lines=["shop/views.py:3-5", "shop/db.py:9-11"],
    attributes={
        "http.request.method": "GET",
        "http.route": "/orders/<int:id>",
        "coverage.entry_point": SHOW,
    },
)
JOB = TracedSpan(
    id="j1",
    role="consumer",
    service="worker",
    name="process default",
    functions=[FIND, SHIP],
    attributes={"coverage.entry_name": "shop.jobs:ship", "coverage.entry_point": SHIP},
)
ROUTE = "GET /orders/<int:id>"


def routes(*told: list[str], rendering: Rendering = "otelcol", **changes: Any) -> TracedSpan:
    """A span that tells routes: kind, method, rule, endpoint and symbol of each."""
    texts = [json.dumps(each, separators=(",", ":")) for each in told]
    attributes = {"coverage.routes": array(texts, rendering)}
    return TracedSpan(id="routes", trace="t0", profile="_startup", run="", role="routes", attributes=attributes).but(
        **changes
    )


def points(store: Store) -> dict[str, dict[str, Any]]:
    return {row["entry_point"]: row for row in store.query("SELECT * FROM entry_points").records()}


def ways(store: Store) -> list[tuple[str, str, list[str]]]:
    sql = "SELECT symbol, entry_point, profiles FROM symbol_entry_points ORDER BY symbol, entry_point"
    return [(symbol, name, list(profiles)) for symbol, name, profiles in store.query(sql).rows]


def gaps(store: Store) -> list[tuple[str, str, str]]:
    return list(
        store.query("SELECT service, entry_point, symbol FROM entry_point_gaps ORDER BY service, entry_point").rows
    )


def test_an_entry_point_has_its_profiles_and_what_ran_under_it_in_any_of_them(store: Store) -> None:
    insert_spans(
        store,
        REQUEST,
        REQUEST.but(id="s2", trace="t2", profile="browse", functions=[SHOW], lines=["shop/views.py:4-7"]),
        JOB,
    )
    found = points(store)
    assert set(found) == {ROUTE, "shop.jobs:ship"}
    row = found[ROUTE]
    assert (row["service"], row["kind"], row["symbol"]) == ("web", "request", SHOW)
    assert row["profiles"] == ["browse", "checkout"]
    assert (row["requests"], row["functions"], row["lines"]) == (2, 2, 8)  # 3 to 7 of one file, 9 to 11 of the other
    assert (found["shop.jobs:ship"]["kind"], found["shop.jobs:ship"]["lines"]) == ("job", None)  # none were recorded
    assert ways(store) == [
        (FIND, ROUTE, ["checkout"]),
        (FIND, "shop.jobs:ship", ["checkout"]),
        (SHIP, "shop.jobs:ship", ["checkout"]),
        (SHOW, ROUTE, ["browse", "checkout"]),
    ]


def test_a_delivery_that_is_repeated_changes_nothing(store: Store) -> None:
    insert_spans(store, REQUEST, JOB, routes(["request", "POST", "/orders", "new", ""]))
    before = points(store), ways(store), gaps(store)
    insert_spans(store, REQUEST, JOB, routes(["request", "POST", "/orders", "new", ""]))
    assert (points(store), ways(store), gaps(store)) == before


def test_durations_are_of_the_requests_and_the_exemplar_is_the_slowest(store: Store) -> None:
    insert_spans(store, *(REQUEST.but(id=f"s{n}", trace=f"t{n}") for n in range(20)))
    insert_spans(store, REQUEST.but(id="slow", trace="slow", duration=90_000_000))
    row = points(store)[ROUTE]
    assert (row["requests"], row["p50_ms"], row["exemplar_trace_id"]) == (21, 5.0, "slow")
    assert 5.0 <= row["p95_ms"] <= 90.0


def test_both_renderings_say_the_same(store: Store) -> None:
    told = ["request", "GET", "/<path:file>", "files & more", ""]
    renderings: tuple[Rendering, ...] = ("otelcol", "rotel")
    for number, rendering in enumerate(renderings):
        revision = f"r{number}"
        insert_spans(
            store,
            REQUEST.but(revision=revision),
            routes(told, rendering=rendering, revision=revision),
            rendering=rendering,
        )
    found = store.query("SELECT revision, entry_point, endpoint FROM entry_point_gaps ORDER BY revision").rows
    assert found == [("r0", "GET /<path:file>", "files & more"), ("r1", "GET /<path:file>", "files & more")]
    assert store.query("SELECT revision, functions, lines FROM entry_points ORDER BY revision").rows == [
        ("r0", 2, 6),
        ("r1", 2, 6),
    ]


def test_what_a_part_holds_stands_under_the_entry_point_of_its_entry(store: Store) -> None:
    part = TracedSpan(
        id="p1",
        parent="s1",
        role="part",
        name="coverage.part",
        functions=["shop.late:last@1"],
        lines=["shop/late.py:1-2"],
        attributes={"coverage.entry_kind": "request", "coverage.entry_name": ROUTE},
    )
    insert_spans(store, REQUEST, part)
    row = points(store)[ROUTE]
    assert (row["requests"], row["functions"], row["lines"]) == (1, 3, 8)


def test_a_run_that_failed_beside_one_that_passed_changes_no_entry_point(store: Store) -> None:
    root = TracedSpan(id="root", role="", name="playback", outcome="passed", revision="", service="playback")
    other = REQUEST.but(run="r2", id="s9", trace="t9", functions=["shop.errors:refuse@1"])
    insert_spans(store, REQUEST, root, other, root.but(run="r2", id="root2", trace="t9", outcome="failed"))
    insert_spans(store, other.but(id="s8", attributes={"http.request.method": "GET", "http.route": "/help"}))
    assert set(points(store)) == {ROUTE}
    assert [symbol for symbol, _, _ in ways(store)] == [FIND, SHOW]
    found = named_query("entry-points").ask(store, {"runs": "r2"}).records()
    assert [(row["entry_point"], row["functions"]) for row in found] == [("GET /help", 1), (ROUTE, 1)]


def test_a_query_about_one_profile_finds_what_runs_under_its_own_requests(store: Store) -> None:
    insert_spans(store, REQUEST, REQUEST.but(id="s2", trace="t2", profile="browse", functions=[SHOW], lines=[]))
    (row,) = named_query("entry-points").ask(store, {"profiles": "browse"}).records()
    assert (row["profiles"], row["requests"], row["functions"]) == (["browse"], 1, 1)
    found = named_query("symbol-entry-points").ask(store, {"profiles": "browse"}).records()
    assert [(row["symbol"], row["profiles"]) for row in found] == [(SHOW, ["browse"])]


def test_gaps_are_routes_that_no_profile_asked_for(store: Store) -> None:
    insert_spans(
        store,
        REQUEST,
        REQUEST.but(id="s2", attributes={"http.request.method": "HEAD", "http.route": "/head"}),
        REQUEST.but(id="s3", attributes={"http.request.method": "GET", "http.route": "/static/{path:path}"}),
        routes(
            ["request", "GET", "/orders/<int:id>", "show", SHOW],
            ["request", "DELETE", "/orders/<int:id>", "delete", "shop.views:delete@7"],
            ["request", "GET", "/head", "head", ""],
            ["request", "", "/static/{path:path}", "", ""],
            ["request", "", "/other/{path:path}", "", ""],
            ["request", "WEBSOCKET", "/socket", "socket", "shop.views:socket@20"],
        ),
        routes(["request", "GET", "/orders/<int:id>", "show", ""], id="routes2", service="admin"),
    )
    assert gaps(store) == [
        ("admin", ROUTE, ""),  # another service's route of the same name
        ("web", "/other/{path:path}", ""),
        ("web", "DELETE /orders/<int:id>", "shop.views:delete@7"),
        ("web", "WEBSOCKET /socket", "shop.views:socket@20"),
    ]


def test_a_function_that_is_queued_is_a_gap_until_any_service_performs_it(store: Store) -> None:
    queued = TracedSpan(id="q1", role="producer", name="enqueue default", kind="Producer")
    insert_catalog(store, {"module": "shop.jobs", "qualname": "label", "line": 30})
    insert_spans(
        store,
        REQUEST,
        queued.but(attributes={"messaging.rq.function": "shop.jobs.ship"}),
        queued.but(id="q2", attributes={"messaging.rq.function": "shop.jobs.label"}),
        routes(["job", "", "shop.jobs:ship", "", SHIP], ["job", "", "shop.jobs:purge", "", "shop.jobs:purge@50"]),
    )
    assert gaps(store) == [
        ("web", "shop.jobs:label", "shop.jobs:label@30"),  # its symbol is the catalog's
        ("web", "shop.jobs:purge", "shop.jobs:purge@50"),
        ("web", "shop.jobs:ship", SHIP),
    ]
    insert_spans(store, JOB)
    assert [name for _, name, _ in gaps(store)] == ["shop.jobs:label", "shop.jobs:purge"]


def test_what_is_no_route_is_left_out(store: Store) -> None:
    broken = routes(["request", "GET", "/", "index", ""])
    texts = [
        "",
        "[",
        "{}",
        "[1,2,3,4,5]",
        '["request","GET"]',
        '["other","GET","/x","x",""]',
        '["request","GET","","x",""]',
    ]
    insert_spans(
        store,
        broken.but(attributes={"coverage.routes": array(texts, "otelcol")}),
        broken.but(id="r2", attributes={"coverage.routes": "not JSON"}),
        broken.but(id="r3", attributes={"coverage.routes": '{"values":[{"stringValue":7}]}'}),
    )
    assert store.query("SELECT count() FROM code_routes").rows == [(0,)]
    insert_spans(store, broken.but(profile="checkout", run="r1", role="server"))  # who else may tell them
    assert store.query("SELECT count() FROM code_routes").rows == [(0,)]


def test_a_span_that_no_hook_has_named_is_known_by_its_route_or_else_its_name(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="a", functions=[], attributes={"http.method": "GET", "http.route": "/old"}),
        TracedSpan(id="b", functions=[], name="GET"),
        TracedSpan(id="c", functions=[], role="process", name="process python3"),
    )
    assert {(row["kind"], name) for name, row in points(store).items()} == {
        ("request", "GET /old"),
        ("request", "GET"),
        ("command", "process python3"),
    }


def test_requests_without_a_run_id_are_under_their_entry_points_once_they_are_put_into_runs(store: Store) -> None:
    first = REQUEST.but(run="")
    insert_spans(store, first)
    assert points(store) == {}
    fold(store)
    assert points(store)[ROUTE]["functions"] == 2
    # a span of the same trace tells the run: what was put elsewhere moves there, and leaves nothing behind
    insert_spans(store, first.but(id="s2", run="night-1", functions=[SHOW], lines=[]), first.but(id="s3"))
    fold(store)
    assert store.query("SELECT DISTINCT run FROM coverage_entry_points WHERE notEmpty(profiles)").rows == [("night-1",)]
    assert store.query("SELECT DISTINCT run FROM coverage_entry_point_lines").rows == [("night-1",)]
    assert (points(store)[ROUTE]["requests"], points(store)[ROUTE]["functions"]) == (3, 2)
