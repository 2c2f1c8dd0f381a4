"""Flask applications in this process: what is recorded for a request, and what is not."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otel_coverage
from otel_coverage.errors import ConfigurationError
from otel_coverage.settings import Settings
from otel_coverage.tracing import recorder, tally
from otel_coverage.tracing.log import log
from tests.support.traced import STORE_FRONT, Spans, functions

TRACED = {"X-Profile-Trace": "checkout"}
GET = "store_front.web:"
TEARDOWN = {GET + "torn_down", "store_front.goods:put_back"}


@pytest.fixture
def create_app(store_front: None) -> Callable[[], flask.Flask]:
    return importlib.import_module("store_front").create_app  # type: ignore[no-any-return]


@pytest.fixture
def app(create_app: Callable[[], flask.Flask], spans: Spans) -> flask.Flask:
    app = create_app()
    instrument(app, spans)
    return app


def instrument(app: flask.Flask, spans: Spans, **settings: Any) -> None:
    otel_coverage.instrument(app, tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT], **settings)


def lines(span: ReadableSpan) -> int:
    count = (span.attributes or {})["coverage.line_count"]
    assert isinstance(count, int)
    return count


def get(app: flask.Flask, path: str, **headers: str) -> Any:
    """Make a request as a server does: read the whole body, then close it."""
    response = app.test_client().get(path, headers={**TRACED, **headers}, buffered=True)
    response.close()
    return response


@pytest.mark.row("Flask", "middleware, request hooks and teardown")
def test_a_request_is_recorded_from_its_middleware_to_its_teardown(app: flask.Flask, spans: Spans) -> None:
    assert get(app, "/goods").text == "apple, pear"
    assert (
        functions(spans.only("server"))
        == {
            GET + "Middleware.__call__",
            GET + "before",
            GET + "list_goods",
            "store_front.goods:names",
        }
        | TEARDOWN
    )
    (span,) = spans.ended
    assert "coverage.open" not in (span.attributes or {})


@pytest.mark.row("Flask", "streamed body")
def test_a_span_that_is_sent_before_a_streamed_body_says_so_and_the_last_part_has_the_totals(
    app: flask.Flask, spans: Spans
) -> None:
    response = app.test_client().get("/lazy", headers=TRACED)
    entry = spans.only("server")
    assert (entry.attributes or {})["coverage.open"] is True
    assert spans.with_role("part") == []
    assert response.text == "apple pear "
    response.close()
    (part,) = spans.with_role("part")
    attributes = part.attributes or {}
    assert attributes["coverage.closing"] is True
    assert attributes["coverage.total_functions"] == len(functions(entry)) + len(functions(part)) > 0
    assert attributes["coverage.total_lines"] == sum(lines(span) for span in (entry, part)) > 0
    assert attributes["coverage.total_parts"] == 1
    assert part.parent is not None
    assert entry.context is not None
    assert (part.parent.trace_id, part.parent.span_id) == (entry.context.trace_id, entry.context.span_id)


@pytest.mark.row("Flask")
@pytest.mark.parametrize("path", ["/stream", "/lazy"], ids=["streamed body", "body of a generator"])
def test_a_streamed_body_belongs_to_its_request(path: str, app: flask.Flask, spans: Spans) -> None:
    assert get(app, path).text == "apple pear "
    streamed = {"store_front.goods:one_by_one", "store_front.goods:names", "store_front.goods:tag"}
    assert streamed <= spans.functions()
    assert ("store_front.goods:on_close" in spans.functions()) is (path == "/lazy")


def test_a_head_request_never_iterates_its_body_and_is_closed(app: flask.Flask, spans: Spans) -> None:
    response = app.test_client().head("/lazy", headers=TRACED, buffered=True)
    response.close()
    assert "store_front.goods:on_close" in spans.functions()
    assert "store_front.goods:one_by_one" not in spans.functions()


@pytest.mark.row("Flask", "exception")
def test_a_request_that_raises_is_recorded_and_raises_on(app: flask.Flask, spans: Spans) -> None:
    app.testing = True
    with pytest.raises(LookupError, match="nothing here"):
        get(app, "/broken")
    assert GET + "broken" in functions(spans.only("server"))
    assert GET + "torn_down" in spans.functions()


def test_an_unknown_page_is_recorded_too(app: flask.Flask, spans: Spans) -> None:
    assert get(app, "/nowhere").status_code == 404
    assert functions(spans.only("server")) == {GET + "Middleware.__call__", GET + "before"} | TEARDOWN


@pytest.mark.row("Flask", "answer before the SERVER span")
def test_a_request_that_a_middleware_answers_before_its_span_starts_gets_a_span_of_ours(
    app: flask.Flask, spans: Spans
) -> None:
    parent = f"00-{'1' * 32}-{'2' * 16}-01"
    assert get(app, "/goods?closed", traceparent=parent).status_code == 503
    span = spans.only("server")
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert span.parent.span_id == int("2" * 16, 16)
    assert functions(span) == {
        GET + "Middleware.__call__",
        GET + "before",
        GET + "closed",
        GET + "torn_down",
        "store_front.goods:put_back",
    }


def test_an_excluded_url_gets_a_span_of_ours(create_app: Callable[[], flask.Flask], spans: Spans) -> None:
    app = create_app()
    FlaskInstrumentor.instrument_app(app, tracer_provider=spans.provider, excluded_urls="goods")  # type: ignore[no-untyped-call]
    instrument(app, spans)
    get(app, "/goods")
    assert spans.only("server").name == "GET"
    assert "store_front.goods:names" in spans.functions()


def test_threads_of_a_request_belong_to_it(app: flask.Flask, spans: Spans) -> None:
    get(app, "/thread")
    assert "store_front.goods:in_a_thread" in functions(spans.only("server"))


def test_concurrent_requests_are_recorded_apart(app: flask.Flask, spans: Spans) -> None:
    both_inside = threading.Barrier(2)

    @app.before_request
    def meet() -> None:
        both_inside.wait(30)

    def play(path: str, profile: str) -> None:
        get(app, path, **{"X-Profile-Trace": profile})

    threads = [threading.Thread(target=play, args=pair) for pair in (("/goods", "looking"), ("/price", "asking"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {str((span.attributes or {})["playback.profile"]): functions(span) for span in spans.with_role("server")}
    common = {GET + "Middleware.__call__", GET + "before"} | TEARDOWN
    assert found == {
        "looking": common | {GET + "list_goods", "store_front.goods:names"},
        "asking": common | {GET + "price", "store_front.goods:price"},
    }


def test_an_untraced_request_carries_nothing(app: flask.Flask, spans: Spans) -> None:
    app.test_client().get("/goods", buffered=True).close()
    (span,) = spans.ended
    assert not [name for name in span.attributes or {} if name.startswith(("coverage.", "playback."))]


@pytest.mark.parametrize("slug", ["'; DROP TABLE otel_traces; --", "<script>alert(1)</script>", "x" * 5000])
def test_a_request_with_a_malformed_slug_is_answered_untraced(slug: str, app: flask.Flask, spans: Spans) -> None:
    assert get(app, "/goods", **{"X-Profile-Trace": slug}).text == "apple, pear"
    (span,) = spans.ended
    assert not [name for name in span.attributes or {} if name.startswith(("coverage.", "playback."))]
    assert log.counts["refused_requests"] == 1


def test_the_response_to_a_traced_request_says_so_and_no_more(app: flask.Flask) -> None:
    answer = get(app, "/goods")
    assert {name.lower() for name, _ in answer.headers} == {"content-type", "content-length", "x-profile-traced"}
    assert answer.headers["X-Profile-Traced"] == "checkout"


@pytest.mark.parametrize("headers", [{}, {"X-Profile-Trace": "Not a slug"}, {"baggage": "other=1"}])
def test_the_response_to_any_other_request_is_the_applications_own(app: flask.Flask, headers: dict[str, str]) -> None:
    answer = app.test_client().get("/goods", headers=headers, buffered=True)
    assert {name.lower() for name, _ in answer.headers} == {"content-type", "content-length"}


def test_a_view_that_changes_the_trace_function_is_incomplete_with_engine_coverage(
    create_app: Callable[[], flask.Flask], spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app()
    instrument(app, spans, engine="coverage")
    goods = importlib.import_module("store_front.goods")
    names = goods.names

    def unseen() -> Any:
        before = sys.gettrace()
        sys.settrace(None)
        try:
            return names()
        finally:
            sys.settrace(before)

    monkeypatch.setattr(goods, "names", unseen)
    assert get(app, "/goods").text == "apple, pear"
    attributes = spans.only("server").attributes or {}
    assert (attributes["coverage.complete"], attributes["coverage.incomplete_reason"]) == (False, "tracer_replaced")


@pytest.mark.row("Flask", "Server-Timing")
def test_a_response_names_its_trace_where_server_timing_is_set(
    create_app: Callable[[], flask.Flask], spans: Spans
) -> None:
    app = create_app()
    instrument(app, spans, server_timing="1")
    named = get(app, "/goods").headers["Server-Timing"]
    context = spans.only("server").context
    assert context is not None
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert named == f'traceparent;desc="{parent}", playback;desc="checkout"'
    assert "Server-Timing" not in app.test_client().get("/goods").headers
    assert get(app, "/goods?closed=1").headers["Server-Timing"].endswith('playback;desc="checkout"')


@pytest.mark.row("Flask", "flood of slugs and headers")
def test_a_flood_of_slugs_and_large_headers_leaves_nothing_in_memory(
    create_app: Callable[[], flask.Flask], spans: Spans
) -> None:
    app = create_app()
    instrument(app, spans, token="secret")

    def flood(first: int, last: int) -> int:
        for number in range(first, last):
            get(app, "/goods", **{"X-Profile-Trace": f"slug-{number}", "X-Profile-Trace-Token": "secret"})
            get(app, "/goods", **{"X-Profile-Trace": "x" * 60_000, "baggage": "playback.profile=" + "y" * 60_000})
            get(app, "/goods", baggage=",".join(f"playback.profile=z{number}-{n}" for n in range(200)))
            spans.clear()
        tally.report(spans.provider.get_tracer("test"))  # a thread does so now and then, and forgets what it has told
        spans.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        flood(0, 300)  # fills every cache
        before = flood(300, 350)
        after = flood(350, 550)
    finally:
        tracemalloc.stop()
    assert after - before < 200 * 200  # bytes, where each of 200 rounds brought a slug and 120,000 bytes of headers


def test_spans_inside_a_request_carry_its_playback(app: flask.Flask, spans: Spans) -> None:
    @app.get("/spans")
    def make_spans() -> str:
        with spans.provider.get_tracer("t").start_as_current_span("inside"):
            return str(trace.get_current_span().get_span_context().trace_id)

    response = get(app, "/spans", baggage="playback.run_id=run-1")
    by_name = {span.name: span for span in spans.ended}
    inside = by_name["inside"]
    assert inside.attributes is not None
    assert (inside.attributes["playback.profile"], inside.attributes["playback.run_id"]) == ("checkout", "run-1")
    assert inside.context is not None
    assert str(inside.context.trace_id) == response.text


@pytest.fixture
def use_propagators() -> Iterator[Callable[..., None]]:
    """What sets the propagators that ``OTEL_PROPAGATORS`` names otherwise."""
    before = propagate.get_global_textmap()
    yield lambda *propagators: propagate.set_global_textmap(CompositePropagator(propagators))
    propagate.set_global_textmap(before)


def test_without_propagators_requests_are_answered_and_recorded(
    create_app: Callable[[], flask.Flask], spans: Spans, use_propagators: Callable[..., None]
) -> None:
    use_propagators()
    app = create_app()
    instrument(app, spans)
    assert get(app, "/goods", traceparent=f"00-{'1' * 32}-{'2' * 16}-01").status_code == 200
    span = spans.only("server")
    assert (span.attributes or {})["playback.profile"] == "checkout"
    assert span.parent is None


def test_it_works_whatever_propagators_are_configured(
    app: flask.Flask, spans: Spans, use_propagators: Callable[..., None]
) -> None:
    use_propagators(TraceContextTextMapPropagator())
    seen = []

    @app.get("/outgoing")
    def outgoing() -> str:
        seen.append(dict(trace_baggage()))
        return ""

    get(app, "/outgoing", traceparent=f"00-{'1' * 32}-{'2' * 16}-01")
    assert (spans.only("server").attributes or {})["playback.profile"] == "checkout"
    assert spans.only("server").parent is not None
    assert seen == [{"playback.profile": "checkout"}]


def trace_baggage() -> Any:
    from opentelemetry import baggage

    return baggage.get_all()


@pytest.mark.row("Flask", "token")
def test_with_a_token_set_only_requests_that_have_it_are_recorded(
    create_app: Callable[[], flask.Flask], spans: Spans
) -> None:
    app = create_app()
    instrument(app, spans, token="secret")
    seen = []

    @app.get("/baggage")
    def show() -> str:
        seen.append(dict(trace_baggage()))
        return ""

    get(app, "/baggage")
    get(app, "/baggage", **{"X-Profile-Trace-Token": "guess"})
    get(app, "/baggage", baggage="playback.profile=checkout,user=7")
    assert seen == [{}, {}, {"user": "7"}]
    assert not spans.with_role("server")
    get(app, "/baggage", **{"X-Profile-Trace-Token": "secret"})
    assert set(seen[-1]) == {"playback.profile", "playback.sig"}
    assert spans.only("server")


@pytest.mark.row("Flask", "async view")
def test_an_async_view_is_recorded_with_its_tasks_and_threads(app: flask.Flask, spans: Spans) -> None:
    assert get(app, "/later").text == "apple , pear "
    entry = spans.only("server")
    awaited = {"store_front.goods:names_later", "store_front.goods:one_later", "store_front.goods:tag"}
    assert functions(entry) == {GET + "Middleware.__call__", GET + "before", GET + "later"} | awaited | TEARDOWN
    assert (entry.attributes or {})["coverage.complete"] is True


@pytest.mark.row("Flask", "error handler")
def test_an_error_handler_belongs_to_the_request_that_failed(app: flask.Flask, spans: Spans) -> None:
    response = get(app, "/refused")
    assert (response.status_code, response.text) == (400, "sorry ")
    assert functions(spans.only("server")) >= {GET + "refused", GET + "apologize", "store_front.goods:tag"}


@pytest.mark.row("Flask", "concurrent async views")
def test_concurrent_async_views_are_recorded_apart(app: flask.Flask, spans: Spans) -> None:
    def play(path: str, profile: str) -> None:
        for _ in range(10):
            get(app, path, **{"X-Profile-Trace": profile})

    paths = {"one": "/later", "two": "/goods", "three": "/refused"}
    players = [threading.Thread(target=play, args=(path, profile)) for profile, path in paths.items()]
    for player in players:
        player.start()
    for player in players:
        player.join()
    views = {"one": GET + "later", "two": GET + "list_goods", "three": GET + "refused"}
    for span in spans.with_role("server"):
        attributes = span.attributes or {}
        assert attributes["coverage.complete"] is True or sys.version_info < (3, 12)
        if attributes["coverage.complete"]:
            assert functions(span) & set(views.values()) == {views[str(attributes["playback.profile"])]}
    assert len(spans.with_role("server")) == 30


@pytest.mark.row("Flask", "several applications of a factory")
def test_several_apps_of_a_factory_are_recorded_apart(create_app: Callable[[], flask.Flask], spans: Spans) -> None:
    first, second, left_out = create_app(), create_app(), create_app()
    for app in (first, second, first):
        instrument(app, spans)
    for app in (first, second, left_out):
        get(app, "/goods")
    assert len(spans.with_role("server")) == 2


@pytest.mark.row("Flask", "application inside an application")
def test_an_application_inside_an_application_is_recorded_once(
    create_app: Callable[[], flask.Flask], spans: Spans
) -> None:
    outer, inner = flask.Flask("outer"), create_app()

    @outer.get("/through")
    def through() -> str:
        return str(get(inner, "/goods").text)

    instrument(outer, spans)
    instrument(inner, spans)
    get(outer, "/through")
    assert "store_front.goods:names" in functions(spans.only("server"))


def test_one_application_can_be_uninstrumented(app: flask.Flask, spans: Spans) -> None:
    otel_coverage.uninstrument(app)
    get(app, "/goods")
    assert spans.ended == []
    assert "__wrapped__" not in vars(flask.Flask.__call__)


@pytest.mark.row("Flask", "uninstrument()")
def test_uninstrumenting_everything_frees_every_tool_id(app: flask.Flask, spans: Spans) -> None:
    get(app, "/goods")
    otel_coverage.uninstrument()
    assert recorder.installed() is None
    if sys.version_info >= (3, 12):
        assert not any(sys.monitoring.get_tool(number) for number in range(6))


def test_where_recording_is_not_enabled_instrument_does_nothing(
    create_app: Callable[[], flask.Flask], spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_COVERAGE_ENABLED", raising=False)
    app = create_app()
    call = flask.Flask.__call__
    assert otel_coverage.instrument(app, tracer_provider=spans.provider) is app
    assert flask.Flask.__call__ is call
    get(app, "/goods")
    assert spans.ended == []


def test_a_setting_that_cannot_be_used_is_refused(create_app: Callable[[], flask.Flask], spans: Spans) -> None:
    with pytest.raises(ConfigurationError, match="granularity"):
        instrument(create_app(), spans, granularity="branch")


def test_a_recorder_that_fails_does_not_fail_the_request(
    app: flask.Flask, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(recorder.Recorder, "_open_engine", fails)
    assert get(app, "/goods").text == "apple, pear"
    attributes = spans.only("server").attributes or {}
    assert attributes["coverage.complete"] is False
    assert attributes["playback.profile"] == "checkout"
    assert log.counts["failures"] == 1


def test_nothing_stays_attached_after_requests_of_all_kinds(app: flask.Flask) -> None:
    before = otel_context.get_current()
    for path in ("/goods", "/stream", "/lazy", "/nowhere", "/goods?closed", "/thread"):
        get(app, path)
        assert otel_context.get_current() is before, path


@pytest.mark.row("Flask", "any WSGI application")
def test_the_middleware_serves_any_wsgi_application(spans: Spans, store_front: None) -> None:
    goods = importlib.import_module("store_front.goods")

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [str(goods.price("apple")).encode()]

    settings = Settings(enabled=True, source=(STORE_FRONT,))
    trace_provider = spans.provider
    trace_provider.add_span_processor(otel_coverage.CoverageSpanProcessor(settings, tracer_provider=trace_provider))
    middleware = otel_coverage.CoverageMiddleware(application, settings, tracer_provider=trace_provider)
    body = middleware({"HTTP_X_PROFILE_TRACE": "checkout", "REQUEST_METHOD": "GET"}, lambda *_: lambda _: None)
    assert list(body) == [b"3"]
    body.close()  # type: ignore[attr-defined]
    assert functions(spans.only("server")) == {"store_front.goods:price"}
