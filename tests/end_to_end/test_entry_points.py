"""The entry points of the example, written by hand from its source and its profiles."""

from __future__ import annotations

import csv
import json
from collections import Counter
from itertools import accumulate

from otel_coverage.demo.example import Example
from tests.end_to_end.played import Played

SLUGS = sorted(Example.find().slugs)
PAID = ["checkout", "month-end", "refund"]

# entry point: the function that answers, who asks for it, how often
EXPECTED = {
    "POST /runs/<run>": ("shop.views.front:open_run", SLUGS, 7),
    "GET /runs/<run>/history": ("shop.views.front:history", ["reprice"], 1),
    "GET /jobs/<job_id>": ("shop.views.front:job", ["checkout"], 1),
    "GET /runs/<run>/products": ("shop.views.catalogue:browse", ["browse", "smoke", "stock-list"], 4),
    "GET /runs/<run>/products/<sku>": ("shop.views.catalogue:show", ["browse"], 2),
    "PATCH /runs/<run>/products/<sku>": ("shop.views.catalogue:reprice", ["reprice"], 3),
    "DELETE /runs/<run>/products/<sku>": ("shop.views.catalogue:discontinue", ["reprice"], 1),
    "POST /runs/<run>/orders": ("shop.views.orders:order", PAID, 4),
    "GET /runs/<run>/orders/<int:number>": ("shop.views.orders:show", ["checkout", "refund"], 4),
    "POST /runs/<run>/orders/<int:number>/pay": ("shop.views.orders:pay", PAID, 3),
    "POST /runs/<run>/orders/<int:number>/refund": ("shop.views.orders:refund", ["refund"], 2),
    "POST /runs/<run>/orders/<int:number>/cancel": ("shop.views.orders:cancel", ["month-end"], 1),
    "GET /runs/<run>/orders.csv": ("shop.views.orders:export", ["month-end"], 1),
    "POST /runs/<run>/month/close": ("shop.views.month:close", ["month-end"], 1),
    "GET /runs/<run>/month": ("shop.views.month:show", ["month-end"], 1),
    "POST /runs/<run>/stock/upload_stocklist": ("shop.views.stock:upload", ["stock-list"], 1),
    "GET /runs/<run>/stock.csv": ("shop.views.stock:download", ["stock-list"], 1),
    "shop.jobs:fulfil": ("shop.jobs:fulfil", PAID, 3),
    "shop.jobs:refund": ("shop.jobs:refund", ["refund"], 1),
    "shop.jobs:write_letter": ("shop.jobs:write_letter", PAID, 4),
    "shop.jobs:import_stock": ("shop.jobs:import_stock", ["stock-list"], 1),
    "shop.jobs:close_month": ("shop.jobs:close_month", ["month-end"], 1),
    "shop.jobs:work_out": ("shop.jobs:work_out", ["month-end"], 2),
    "shop.jobs:put_together": ("shop.jobs:put_together", ["month-end"], 1),
}

HOOKS = {
    "shop.hooks:take_run",
    "shop.hooks:check_run",
    "shop.hooks:check_body",
    "shop.hooks:add_headers",
    "shop.hooks:_require_opened",
    "shop.database:of_request",
    "shop.database:connect",
    "shop.database:close",
    "shop.service:Service.__init__",
}


def test_each_route_and_job_has_its_function_its_profiles_and_as_many_requests_as_were_played(played: Played) -> None:
    found = {
        row["entry_point"]: (row["symbol"].rpartition("@")[0], row["profiles"], row["requests"])
        for row in played.rows["entry_points"]
    }
    assert found == EXPECTED
    assert {(row["service"], row["kind"]) for row in played.rows["entry_points"]} == {
        ("shop-web", "request"),
        ("shop-worker", "job"),
    }
    for row in played.rows["entry_points"]:
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["lines"] >= row["functions"] > 0
        assert len(row["exemplar_trace_id"]) == 32


def test_under_a_route_stands_what_ran_in_its_requests_and_not_what_ran_in_their_jobs(played: Played) -> None:
    under: dict[str, set[str]] = {}
    for row in played.rows["symbol_entry_points"]:
        under.setdefault(row["entry_point"], set()).add(row["symbol"].rpartition("@")[0])
    assert under["GET /runs/<run>/history"] == HOOKS | {"shop.views.front:history", "shop.service:Service.history"}
    assert under["GET /runs/<run>/month"] == HOOKS | {"shop.views.month:show", "shop.figures:Figures.all"}
    assert {name for name, symbols in under.items() if "shop.jobs:fulfil" in symbols} == {"shop.jobs:fulfil"}
    counted = {row["entry_point"]: row["functions"] for row in played.rows["entry_points"]}
    assert counted == Counter(row["entry_point"] for row in played.rows["symbol_entry_points"])


def test_a_function_has_the_entry_points_that_lead_to_it_with_the_profiles_that_went_that_way(played: Played) -> None:
    ways = {
        (row["symbol"].rpartition("@")[0], row["entry_point"]): row["profiles"]
        for row in played.rows["symbol_entry_points"]
    }
    letters = {
        key: profiles
        for key, profiles in ways.items()
        if key[0] in ("shop.letters:receipt", "shop.letters:credit_note")
    }
    assert letters == {
        ("shop.letters:receipt", "shop.jobs:write_letter"): PAID,
        ("shop.letters:credit_note", "shop.jobs:write_letter"): ["refund"],
    }


def test_gaps_are_the_routes_that_no_profile_asks_for(played: Played) -> None:
    found = [
        (row["service"], row["kind"], row["entry_point"], row["symbol"].rpartition("@")[0], row["endpoint"])
        for row in played.rows["entry_point_gaps"]
    ]
    assert sorted(found) == [
        ("shop-web", "request", "DELETE /jobs/<job_id>", "shop.views.front:forget_job", "front.forget_job"),
        ("shop-web", "request", "GET /health", "shop.views.front:health", "front.health"),
        ("shop-web", "request", "GET /static/<path:filename>", "", "static"),
    ]


def test_the_artifact_says_the_same_with_positions_instead_of_names(played: Played) -> None:
    document = json.loads((played.out / "entry-points.json").read_text())
    points = document["entry_points"]
    assert {each["entry_point"]: each["requests"] for each in points} == {
        name: requests for name, (_, _, requests) in EXPECTED.items()
    }
    assert document["url_maps"] == ["shop-web"]
    assert [each["entry_point"] for each in document["gaps"]] == [
        "GET /health",
        "DELETE /jobs/<job_id>",
        "GET /static/<path:filename>",
    ]
    profiles = [each["profile"] for each in document["profiles"]]
    (receipt,) = (
        reached
        for symbol, reached in zip(document["symbols"], document["symbol_entry_points"], strict=True)
        if symbol.startswith("shop.letters:receipt@")
    )
    ((position, steps),) = receipt
    assert points[position]["entry_point"] == "shop.jobs:write_letter"
    assert [profiles[each] for each in accumulate(steps)] == PAID
    with open(played.out / "entry-points.csv", encoding="utf-8", newline="") as file:
        assert [row["entry_point"] for row in csv.DictReader(file)] == [each["entry_point"] for each in points]
