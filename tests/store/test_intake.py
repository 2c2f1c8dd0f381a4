"""What the materialized views read from a span, whatever its attributes hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_coverage.store import Store
from otel_coverage.symbols import Symbol
from tests.support.examples import examples
from tests.support.spans import TABLES, Rendering, TracedSpan, array, every_column, insert_spans

BOTH: list[Rendering] = ["otelcol", "rotel"]


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the coverage tables, merged, in order; sets of ranges as the lines that they hold."""
    return {
        "spans": store.query("SELECT * FROM coverage_spans FINAL ORDER BY ALL").rows,
        "functions": store.query("SELECT * FROM coverage_functions FINAL ORDER BY ALL").rows,
        "lines": store.query("SELECT * EXCEPT ranges, lines FROM coverage_lines FINAL ORDER BY ALL").rows,
        "by_symbol": store.query(
            f"SELECT {every_column('coverage_by_symbol')} FROM coverage_by_symbol FINAL ORDER BY ALL"
        ).rows,
        "runs": store.query("SELECT * FROM coverage_runs FINAL ORDER BY ALL").rows,
        "arcs": store.query("SELECT * REPLACE arraySort(arcs) AS arcs FROM coverage_arcs FINAL ORDER BY ALL").rows,
    }


def clear(store: Store) -> None:
    for table in ("otel_traces", "coverage_unassigned", *TABLES):
        store.command(f"TRUNCATE TABLE {table}")


def functions(store: Store) -> list[tuple[Any, ...]]:
    return store.query("SELECT module, qualname, line FROM coverage_functions FINAL ORDER BY ALL").rows


def lines(store: Store) -> dict[str, list[int]]:
    return dict(store.query("SELECT file, lines FROM coverage_lines FINAL").rows)


def arcs(store: Store) -> dict[str, list[tuple[int, int]]]:
    return {
        file: sorted(pairs(found)) for file, found in store.query("SELECT file, arcs FROM coverage_arcs FINAL").rows
    }


def pairs(found: list[dict[str, int]]) -> list[tuple[int, int]]:
    return [(arc["before"], arc["after"]) for arc in found]


def completeness(store: Store) -> list[tuple[Any, ...]]:
    return store.query("SELECT complete, incomplete_reason, incomplete_detail FROM coverage_spans FINAL").rows


@pytest.mark.parametrize("rendering", BOTH)
def test_functions_and_lines_are_read_from_either_rendering(store: Store, rendering: Rendering) -> None:
    insert_spans(
        store,
        TracedSpan(
            functions=["shop.orders:Order.total@42", "shop.orders:price.<locals>.rounded@7"],
            lines=["shop/orders.py:40-44,47", "shop/__init__.py:1"],
        ),
        rendering=rendering,
    )
    assert functions(store) == [("shop.orders", "Order.total", 42), ("shop.orders", "price.<locals>.rounded", 7)]
    assert lines(store) == {"shop/orders.py": [40, 41, 42, 43, 44, 47], "shop/__init__.py": [1]}
    assert completeness(store) == [(True, "", "")]


@pytest.mark.parametrize("module", ["shop:v2.orders", "a:b:c", ":shop.orders", "shop@home.orders", "caf\\udce9:x"])
def test_a_symbol_is_split_as_python_splits_it_whatever_folders_are_called(store: Store, module: str) -> None:
    symbol = Symbol(module, "Order.<locals>.total", 42)
    insert_spans(store, TracedSpan(functions=[symbol.id], lines=[f"{module}.py:40-41"]))
    read = Symbol.parse(symbol.id)
    assert functions(store) == [(read.module, read.qualname, read.line)] == [(module, "Order.<locals>.total", 42)]
    assert lines(store) == {f"{module}.py": [40, 41]}
    assert store.query("SELECT symbol FROM coverage_matrix").rows == [(symbol.id,)]
    assert completeness(store) == [(True, "", "")]


@pytest.mark.parametrize("rendering", BOTH)
def test_arcs_are_read_from_either_rendering(store: Store, rendering: Rendering) -> None:
    insert_spans(
        store,
        TracedSpan(
            functions=["shop.orders:Order.total@40"],
            lines=["shop/orders.py:41-44"],
            arcs=["shop/orders.py:-40/41/42/41,-7/8,42/44/-40", "C:/shop/<b>.py:1/2"],
        ),
        rendering=rendering,
    )
    assert arcs(store) == {
        "shop/orders.py": [(-40, 41), (-7, 8), (41, 42), (42, 41), (42, 44), (44, -40)],
        "C:/shop/<b>.py": [(1, 2)],
    }
    assert store.query("SELECT arc_count, branch FROM coverage_spans").rows == [(7, True)]
    assert completeness(store) == [(True, "", "")]


SAID: dict[str, object] = {
    "process": "0123456789abcdef",
    "number": 4_000_000_000,
    "open": True,
    "closing": True,
    "partial": True,
    "total_functions": 5,
    "total_lines": 6,
    "total_arcs": 7,
    "total_parts": 8,
    "begun_role": "server",
    "recorded": 9,
    "dropped": 10,
}


def test_a_spans_row_says_all_that_outlives_the_raw_span(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(
            parent="c1",
            namespace="acme",
            functions=["m:f@1", "m:g@2"],
            lines=["m.py:1-3"],
            second=60,
            outcome="passed",
            attributes={f"coverage.{name}": str(value) for name, value in SAID.items()},
        ),
    )
    record = store.query("SELECT * FROM coverage_spans").records()[0]
    assert record.pop("started").isoformat() == "2026-01-01T00:01:00+00:00"
    assert record == {
        "namespace": "acme",
        "revision": "abc",
        "profile": "checkout",
        "run": "r1",
        "evidence": "client",
        "trace": "t1",
        "span": "s1",
        "parent": "c1",
        "name": "GET /",
        "role": "server",
        "service": "web",
        "kind": "request",
        "entry_point": "GET /",
        "entry_symbol": "",
        **SAID,
        "duration": 5_000_000,
        "status": "ok",
        "outcome": "passed",
        "engine": "monitoring",
        "granularity": "line",
        "function_count": 2,
        "line_count": 3,
        "arc_count": 0,
        "branch": False,
        "complete": True,
        "incomplete_reason": "",
        "incomplete_detail": "",
    }


def test_spans_of_untraced_contexts_leave_nothing(store: Store) -> None:
    store.insert("otel_traces", ["TraceId", "SpanAttributes"], [["t1", {"http.method": "GET"}]])
    assert not any(everything(store).values())


def test_a_span_without_namespace_and_profile_is_kept_at_the_revision_unknown(
    store: Store,
) -> None:
    attributes = {"coverage.functions": '["m:f@1"]', "coverage.function_count": "1", "playback.run_id": "r1"}
    store.insert("otel_traces", ["SpanAttributes"], [[attributes]])
    assert store.query("SELECT namespace, revision, profile, run, module FROM coverage_functions").rows == [
        ("", "unknown", "", "r1", "m")
    ]


def test_a_slug_with_anything_in_it_is_data(store: Store) -> None:
    slugs = [
        "it's",
        'x"; DROP TABLE coverage_spans; --',
        "<script>alert(1)</script>",
        "zwei\nZeilen",
        "😀",
        "[bold]",
        "",
    ]
    each(store, {slug: TracedSpan(functions=["m:f@1"]) for slug in slugs})
    assert store.query("SELECT profiles FROM symbol_profiles").rows == [(sorted(slugs),)]
    for slug in slugs:
        found = store.query("SELECT profile FROM coverage_matrix WHERE profile = {slug:String}", {"slug": slug}).rows
        assert found == [(slug,)]


def test_a_redelivered_batch_changes_no_set_no_time_and_no_exemplar(store: Store) -> None:
    spans = [
        TracedSpan(
            id=f"s{number}",
            trace=f"t{number}",
            second=number,
            functions=[f"m:f@{number % 3}"],
            lines=["m.py:1-3"],
            arcs=[f"m.py:1/{number % 3}"],
        )
        for number in range(1, 7)
    ]
    insert_spans(store, *spans)
    before = everything(store)
    assert len(before["functions"]) == 3
    for again in (spans, spans[:2], list(reversed(spans))):
        insert_spans(store, *again)
    assert everything(store) == before


def test_the_kind_of_a_span_is_never_read(store: Store) -> None:
    kinds = ["Server", "SPAN_KIND_SERVER", "client", "Internal", ""]
    insert_spans(store, *(TracedSpan(id=kind, kind=kind, functions=["m:f@1"]) for kind in kinds))
    assert store.query("SELECT DISTINCT role, complete FROM coverage_spans").rows == [("server", True)]


def test_a_status_is_one_word_however_it_is_spelt(store: Store) -> None:
    words = {"STATUS_CODE_ERROR": "error", "Error": "error", "ok": "ok", "STATUS_CODE_UNSET": "unset", "Unset": "unset"}
    rows = [[code, {"playback.profile": code, "playback.run_id": "r1"}, code] for code in words]
    store.insert("otel_traces", ["SpanId", "SpanAttributes", "StatusCode"], rows)
    assert dict(store.query("SELECT profile, status FROM coverage_spans").rows) == words


def test_parts_add_up(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(functions=["m:f@1"], lines=["m.py:1-2"], arcs=["m.py:1/2"]),
        TracedSpan(
            id="p1",
            parent="s1",
            role="part",
            name="coverage.part",
            functions=["m:g@5"],
            lines=["m.py:2-6,9"],
            arcs=["m.py:2/6/9", "n.py:1/2"],
        ),
    )
    assert arcs(store) == {"m.py": [(1, 2), (2, 6), (6, 9)], "n.py": [(1, 2)]}
    assert functions(store) == [("m", "f", 1), ("m", "g", 5)]
    assert lines(store) == {"m.py": [1, 2, 3, 4, 5, 6, 9]}


def each(store: Store, spans: dict[str, TracedSpan], rendering: Rendering = "otelcol") -> None:
    """Insert spans, each with its key as the profile."""
    insert_spans(store, *(span.but(profile=name) for name, span in spans.items()), rendering=rendering)


@pytest.mark.parametrize("rendering", BOTH)
def test_malformed_symbols_are_left_out_and_make_the_span_incomplete(store: Store, rendering: Rendering) -> None:
    no_line = ["m:f", "m:f@", "m:f@x", "m:f@-1", "m:f@1 ", "m:f@9999999999"]
    texts = ["", "nonsense", "m", ":f@1", "m:@1", "m:a:@1", "@1", "f@1", *no_line]
    each(store, {text: TracedSpan(functions=["m:f@1", text]) for text in texts}, rendering)
    assert store.query("SELECT profile, groupArray(symbol) FROM coverage_matrix GROUP BY ALL ORDER BY ALL").rows == [
        (text, ["m:f@1"]) for text in sorted(texts)
    ]
    assert store.query("SELECT count(), complete, incomplete_detail FROM coverage_spans GROUP BY ALL").rows == [
        (len(texts), False, "1 of 2 functions arrived")
    ]


def test_a_symbol_is_taken_apart_as_the_recorder_puts_it_together(store: Store) -> None:
    symbols = {
        "m:f@0@12": ("m", "f@0", 12),
        "m:a:b@3": ("m:a", "b", 3),
        "m:😀@123456789": ("m", "😀", 123_456_789),
        "my module-😀:f@3": ("my module-😀", "f", 3),
        "m:f@999999999": ("m", "f", 999_999_999),
        "m:f@007": ("m", "f", 7),
    }
    each(store, {symbol: TracedSpan(functions=[symbol]) for symbol in symbols})
    found = store.query("SELECT profile, module, qualname, line FROM coverage_functions").rows
    assert {row[0]: row[1:] for row in found} == symbols


def test_lines_are_what_well_formed_ranges_name(store: Store) -> None:
    wellformed = {
        "C:/shop/orders.py:3": ("C:/shop/orders.py", [3]),
        "a:1-2:7": ("a:1-2", [7]),
        "zwei\nZeilen.py:1": ("zwei\nZeilen.py", [1]),
        "m.py:3,1-2,2-4,4": ("m.py", [1, 2, 3, 4]),
        "m.py:999999-1000000": ("m.py", [999_999, 1_000_000]),
        "m.py:5,9-7,11": ("m.py", [5, 11]),
    }
    no_range = [
        "1-1000001",
        "1-4000000000",
        "0",
        "0-3",
        "9-7",
        "",
        "1,",
        ",1",
        "1-",
        "-1",
        "1--2",
        "1-2-3",
        " 1",
        "1e3",
    ]
    others = ["", ":3", "m.py", *(f"m.py:{text}" for text in no_range)]
    spans = {text: TracedSpan(functions=[], lines=[text], line_count=7) for text in (*wellformed, *others)}
    each(store, spans)
    found = store.query("SELECT profile, file, lines FROM coverage_lines").rows
    assert {row[0]: row[1:] for row in found} == wellformed


def test_lines_that_did_not_arrive_make_the_span_incomplete(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["m:f@1"], lines=["m.py:40-4"], line_count=5))
    assert completeness(store) == [(False, "counts_differ", "0 of 5 lines arrived")]


def test_arcs_are_what_well_formed_chains_name(store: Store) -> None:
    wellformed = {
        "C:/shop/orders.py:3/4": ("C:/shop/orders.py", [(3, 4)]),
        "a/1/2:7/7": ("a/1/2", [(7, 7)]),
        "m.py:3/1,1/2,-9/-9": ("m.py", [(-9, -9), (1, 2), (3, 1)]),
        "m.py:0/1": ("m.py", [(0, 1)]),
        "m.py:999999/-999999/1": ("m.py", [(-999_999, 1), (999_999, -999_999)]),
    }
    no_chain = [
        "1",
        "1/",
        "/1",
        "1/2,",
        ",1/2",
        "1/2,3",
        "1//2",
        "1/--2",
        "1/2-",
        "1/+2",
        " 1/2",
        "1/2e3",
        "1/1000000",
        "",
    ]
    others = ["", ":3/4", "m.py", *(f"m.py:{text}" for text in no_chain)]
    each(store, {text: TracedSpan(functions=[], arcs=[text], arc_count=7) for text in (*wellformed, *others)})
    found = store.query("SELECT profile, file, arcs FROM coverage_arcs").rows
    assert {profile: (file, sorted(pairs(taken))) for profile, file, taken in found} == wellformed


def test_arcs_that_did_not_arrive_make_the_span_incomplete(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["m:f@1"], arcs=["m.py:40/4"], arc_count=5))
    assert completeness(store) == [(False, "counts_differ", "1 of 5 arcs arrived")]


def test_whether_branches_were_recorded_is_known_of_spans_without_any(store: Store) -> None:
    each(store, {"with": TracedSpan(functions=["m:f@1"], arcs=[]), "without": TracedSpan(functions=["m:f@1"])})
    assert dict(store.query("SELECT profile, branch FROM coverage_spans").rows) == {"with": True, "without": False}
    assert completeness(store) == [(True, "", ""), (True, "", "")]


def test_a_span_that_the_recorder_calls_incomplete_says_why(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["m:f@1"], complete=False, reason="greenlets", detail="take turns"))
    assert completeness(store) == [(False, "greenlets", "take turns")]


def test_a_span_that_is_incomplete_without_a_reason_says_so(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["m:f@1"], complete=False))
    assert completeness(store) == [(False, "no_reason", "")]


def test_an_entry_span_without_coverage_is_incomplete_and_others_need_none(store: Store) -> None:
    roles = ["server", "consumer", "process", "client", "producer", ""]
    each(store, {role: TracedSpan(role=role) for role in roles})
    reasons = dict(store.query("SELECT role, incomplete_reason FROM coverage_spans").rows)
    missing = "no_coverage"
    assert reasons == {"server": missing, "consumer": missing, "process": missing, "client": "", "producer": "", "": ""}


def test_an_attribute_that_was_dropped_makes_the_span_incomplete(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["m:f@1"], attributes={"coverage.functions": ""}))
    assert completeness(store) == [(False, "counts_differ", "0 of 1 functions arrived")]


HUGE = 2_000_000
BAD_JSON = {
    "cut short": '["m:f@1","m:g@2',
    "not an array": '"m:f@1"',
    "a number": "17",
    "nested": "[" * 3000 + "]" * 3000,
    "an object without values": '{"a":["m:f@1"]}',
    "values that are no array": '{"values":{"stringValue":"m:f@1"}}',
    "values of other types": '{"values":[1,null,{"intValue":3},{"stringValue":null}]}',
    "elements of other types": '[1,null,true,{"a":1},["m:f@1"],1e999]',
    "half a surrogate": '["\\ud800"]',
    "a null character": '["\\u0000:\\u0000@1"]',
    "one huge string": json.dumps(["x" * HUGE]),
    "one huge symbol": json.dumps([f"m:{'x' * HUGE}@1"]),
    "very many": json.dumps([f"m:f{number}@1" for number in range(HUGE // 20)]),
    "very many ranges": json.dumps(["m.py:" + ",".join(["1-1000000"] * (HUGE // 10))]),
    "very many files": json.dumps([f"{number}:1-1000000" for number in range(HUGE // 40)]),
    "very many commas": json.dumps(["m.py:" + "," * HUGE]),
    "very many dashes": json.dumps(["m.py:" + "-" * HUGE]),
    "very many colons": json.dumps([":" * HUGE]),
    "very many digits": json.dumps(["m.py:" + "1" * HUGE]),
    "very many chains": json.dumps(["m.py:" + ",".join(["1/2"] * (HUGE // 4))]),
    "one long chain": json.dumps(["m.py:" + "/".join(map(str, range(HUGE // 7)))]),
    "very many slashes": json.dumps(["m.py:" + "/" * HUGE]),
    "very many minuses": json.dumps(["m.py:-1/" + "-" * HUGE]),
}


def test_no_value_however_wrong_or_large_fails_the_insert(store: Store) -> None:
    for name, value in BAD_JSON.items():
        names = ("functions", "lines", "arcs", "function_count", "arc_count", "incomplete_detail")
        garbage = {f"coverage.{name}": value for name in names}
        insert_spans(
            store,
            TracedSpan(id="bad", profile=name, functions=[], attributes=garbage),
            TracedSpan(id="good", profile=name, functions=["m:good@1"]),
        )
    many = len(BAD_JSON)
    assert store.query("SELECT count() FROM otel_traces").rows == [(2 * many,)]
    assert store.query("SELECT span, complete, count() FROM coverage_spans GROUP BY ALL ORDER BY span").rows == [
        ("bad", False, many),
        ("good", True, many),
    ]
    assert store.query("SELECT length(profiles) FROM symbol_profiles WHERE symbol = 'm:good@1'").rows == [(many,)]
    assert store.query(
        "SELECT max(length(incomplete_reason)) <= 64, max(length(incomplete_detail)) <= 1000 FROM coverage_spans"
    ).rows == [(1, 1)]


KEYS = [
    "playback.profile",
    "playback.run_id",
    "playback.outcome",
    "coverage.functions",
    "coverage.lines",
    "coverage.function_count",
    "coverage.line_count",
    "coverage.arcs",
    "coverage.arc_count",
    "coverage.granularity",
    "coverage.engine",
    "coverage.role",
    "coverage.complete",
    "coverage.incomplete_reason",
    "coverage.incomplete_detail",
    "playback.steps",
    "coverage.entry_point",
    "coverage.entry_name",
    "coverage.entry_kind",
    "coverage.routes",
    "http.route",
    "messaging.rq.function",
    *(f"coverage.{name}" for name in SAID),
]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["values", "stringValue", "x"]), inner),
    max_leaves=8,
)
ELEMENTS = st.lists(
    st.one_of(
        st.from_regex(r"[a-z.:@<>]{0,6}[:@][0-9,\-]{0,12}", fullmatch=True),
        st.from_regex(r"m:f@[0-9]{1,11}|m\.py:[0-9]{1,11}(-[0-9]{1,11})?", fullmatch=True),
        st.from_regex(r"m\.py:(-?[0-9]{1,9}[/,]){0,6}-?[0-9]{1,9}", fullmatch=True),
        st.text(max_size=12),
    ),
    max_size=5,
)
VALUES = st.one_of(
    st.text(max_size=30),
    ANY_JSON.map(json.dumps),
    ELEMENTS.map(lambda values: array(values, "otelcol")),
    ELEMENTS.map(lambda values: array(values, "rotel")),
    st.integers().map(str),
    st.sampled_from(
        ["true", "false", "server", "part", "routes", "producer", "job", "-1", "1e9", "18446744073709551616"]
    ),
).filter(lambda text: text.isascii() or max(text) < "\ud800" or max(text) > "\udfff")


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1), min_size=1, max_size=12))
def test_garbage_in_any_attribute_never_fails_the_insert(store: Store, spans: list[dict[str, str]]) -> None:
    clear(store)
    rows = [[str(number), attributes] for number, attributes in enumerate(spans)]
    store.insert("otel_traces", ["SpanId", "SpanAttributes"], rows)
    assert store.query("SELECT count() FROM otel_traces").rows == [(len(spans),)]
    expected = sum(
        bool(attributes.keys() & {"playback.profile", "coverage.functions", "coverage.lines"}) for attributes in spans
    )
    read = "SELECT (SELECT count() FROM coverage_spans) + (SELECT count() FROM coverage_unassigned)"
    assert store.query(read).rows == [(expected,)]
    everything(store)


PATHS = st.sampled_from(["m.py", "a/b.py", "C:/x.py"])
SYMBOLS = st.sampled_from([f"m:f.<locals>.g{number}@{number}" for number in range(1, 6)])
RANGES = st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda pair: (pair[0], pair[0] + pair[1]))
ARCS = st.sampled_from(["m.py:-1/2/3", "m.py:3/2", "a/b.py:1/2", "C:/x.py:2/-1,-7/8"])
FILES = st.dictionaries(PATHS, st.lists(RANGES, min_size=1, max_size=5), max_size=3)


def elements(files: dict[str, list[tuple[int, int]]]) -> list[str]:
    return [f"{path}:{','.join(f'{first}-{last}' for first, last in ranges)}" for path, ranges in files.items()]


SPANS = st.lists(
    st.builds(
        TracedSpan,
        id=st.sampled_from(["s1", "s2", "s3", "s4"]),
        profile=st.sampled_from(["a", "b"]),
        second=st.integers(0, 5),
        functions=st.lists(SYMBOLS, max_size=4, unique=True),
        lines=FILES.map(elements),
        arcs=st.none() | st.lists(ARCS, max_size=3, unique=True),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda span: (span.profile, span.id),
)


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spans=SPANS, data=st.data())
def test_rendering_order_batches_and_redelivery_do_not_matter(
    store: Store, spans: list[TracedSpan], data: st.DataObject
) -> None:
    clear(store)
    insert_spans(store, *spans, rendering="otelcol")
    before = everything(store)
    clear(store)
    again = data.draw(st.permutations(spans + spans))
    cut = data.draw(st.integers(0, len(again)))
    insert_spans(store, *again[:cut], rendering="rotel")
    insert_spans(store, *again[cut:], rendering="otelcol")
    assert everything(store) == before


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deliveries=st.lists(FILES, min_size=1, max_size=4))
def test_the_lines_of_a_file_are_the_union_of_its_ranges(
    store: Store, deliveries: list[dict[str, list[tuple[int, int]]]]
) -> None:
    clear(store)
    expected: dict[str, set[int]] = {}
    for number, files in enumerate(deliveries):
        insert_spans(store, TracedSpan(id=f"s{number}", functions=[], lines=elements(files)))
        for path, ranges in files.items():
            expected.setdefault(path, set()).update(*(range(first, last + 1) for first, last in ranges))
    assert lines(store) == {path: sorted(numbers) for path, numbers in expected.items()}
