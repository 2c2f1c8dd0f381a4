"""Ways to serve an application: all of a request is recorded, or its entry says what is missing."""

from __future__ import annotations

import importlib
import threading
from types import ModuleType
from typing import Any

import flask
import httpx
import pytest
import werkzeug
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import ReadableSpan

import otel_coverage
from otel_coverage.tracing.log import log
from otel_coverage.tracing.recorder import installed
from tests.support.collector import Collector
from tests.support.servers import OTHER_SERVERS, SERVERS, serving
from tests.support.traced import RECORDING, STORE_FRONT, Spans, functions

TRACED = {"X-Profile-Trace": "checkout"}
WEB, SERVED = "store_front.web:", "store_front.served:"
REQUEST = {WEB + "before", WEB + "list_goods", "store_front.goods:names"}


@pytest.fixture
def served(store_front: None) -> ModuleType:
    return importlib.import_module("store_front.served")


def instrument(app: flask.Flask | None, spans: Spans, **settings: Any) -> None:
    otel_coverage.instrument(app, tracer_provider=spans.provider, enabled=True, source=[STORE_FRONT], **settings)


def traced_by_opentelemetry(app: flask.Flask, spans: Spans) -> flask.Flask:
    instrumentor: Any = FlaskInstrumentor()
    instrumentor.instrument_app(app, tracer_provider=spans.provider)
    return app


def get(application: Any, path: str = "/goods", **headers: str) -> str:
    """Make a request as a server does: read the whole body, then close it."""
    response = werkzeug.Client(application).get(path, headers={**TRACED, **headers}, buffered=True)
    response.close()
    return response.text


def is_complete(span: ReadableSpan) -> object:
    return (span.attributes or {})["coverage.complete"]


@pytest.mark.row("Flask served as")
@pytest.mark.parametrize(
    ("serve", "path"),
    [
        pytest.param("behind_a_proxy", "/goods", id="ProxyFix(app.wsgi_app)"),
        pytest.param("mounted", "/shop/goods", id="DispatcherMiddleware"),
    ],
)
def test_an_application_inside_a_librarys_middleware_is_recorded(
    serve: str, path: str, served: ModuleType, spans: Spans
) -> None:
    for when in ("alone", "after OpenTelemetry's instrumentation", "before it is made"):
        if when == "before it is made":
            instrument(None, spans)
        app = served.create_app()
        if when != "alone":
            traced_by_opentelemetry(app, spans)
        if when != "before it is made":
            instrument(app, spans)
        assert get(getattr(served, serve)(app), path) == "apple, pear", when
        entry = spans.only("server")
        assert functions(entry) == REQUEST, when
        assert is_complete(entry) is True, when
        otel_coverage.uninstrument()
        spans.clear()


@pytest.mark.row("Flask served as", "subclass with a __call__ of its own")
def test_a_subclass_with_a_call_of_its_own_is_recorded_from_that(served: ModuleType, spans: Spans) -> None:
    app = served.create_app(served.OwnCall)
    instrument(app, spans)
    assert get(app) == "apple, pear"
    entry = spans.only("server")
    assert functions(entry) == {*REQUEST, SERVED + "OwnCall.__call__", SERVED + "checked"}
    assert is_complete(entry) is True


@pytest.mark.row("code of the application outside of the recording")
@pytest.mark.parametrize("gate", ["Gate", "GeneratorGate", "OwnCall"])
def test_where_code_of_the_application_runs_outside_of_the_recording_the_entry_says_so(
    gate: str, served: ModuleType, spans: Spans
) -> None:
    instrument(None, spans)
    if gate == "OwnCall":
        application = app = served.create_app(served.OwnCall)
    else:
        app = served.create_app()
        application = getattr(served, gate)(app)
    traced_by_opentelemetry(app, spans)
    assert get(application) == "apple, pear"
    entry = spans.only("server")
    assert functions(entry) == REQUEST
    assert is_complete(entry) is False
    attributes = entry.attributes or {}
    assert attributes["coverage.incomplete_reason"] == "middleware_outside"
    assert "CoverageMiddleware" in str(attributes["coverage.incomplete_detail"])
    assert str(attributes["coverage.incomplete_detail"]).startswith(f"{gate}.__call__ ran outside")


@pytest.mark.row("Flask served as", "CoverageMiddleware around a middleware of the application")
def test_the_middleware_around_it_records_a_middleware_of_the_application(served: ModuleType, spans: Spans) -> None:
    app = served.create_app()
    instrument(app, spans)
    application = otel_coverage.CoverageMiddleware(served.Gate(app), RECORDING, tracer_provider=spans.provider)
    assert get(application) == "apple, pear"
    entry = spans.only("server")
    assert functions(entry) == {*REQUEST, SERVED + "Gate.__call__", SERVED + "checked"}
    assert is_complete(entry) is True


def test_a_client_inside_an_untraced_request_is_not_taken_for_a_middleware(served: ModuleType, spans: Spans) -> None:
    """The functions on the stack belong to another request."""
    inner, outer = served.create_app(), served.create_app()
    instrument(inner, spans)

    outer.add_url_rule("/inner", view_func=lambda: get(inner))
    response = werkzeug.Client(served.Gate(outer)).get("/inner")
    assert response.text == "apple, pear"
    assert is_complete(spans.only("server")) is True


def test_several_hooks_around_a_request_refuse_it_once(
    served: ModuleType, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    app = served.create_app()
    instrument(app, spans, token="secret")
    assert get(app) == "apple, pear"
    assert log.counts["refused_requests"] == 1
    get(app, **{"X-Profile-Trace-Token": "secret"})
    assert log.counts["refused_requests"] == 1
    assert is_complete(spans.only("server")) is True


@pytest.mark.row("middleware of the application below")
@pytest.mark.parametrize("module", ["wsgiref.simple_server", "werkzeug.serving"])
def test_a_server_that_the_application_starts_itself_records_its_middleware(
    module: str, served: ModuleType, spans: Spans
) -> None:
    instrument(None, spans)
    app = traced_by_opentelemetry(served.create_app(), spans)
    server = importlib.import_module(module).make_server("127.0.0.1", 0, served.Gate(app))
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        assert (
            httpx.get(f"http://127.0.0.1:{server.server_port}/goods", headers=TRACED, timeout=60).text == "apple, pear"
        )
    finally:
        thread.join()
        server.server_close()
    entry = spans.only("server")
    assert functions(entry) == {*REQUEST, SERVED + "Gate.__call__", SERVED + "checked"}
    assert is_complete(entry) is True


@pytest.mark.row("middleware of the application below")
@pytest.mark.parametrize(
    "server",
    [
        "gunicorn sync",
        "gunicorn gthread --preload",
        "waitress",
        pytest.param("gevent.pywsgi", marks=pytest.mark.since(3, 12)),
        pytest.param("granian", marks=pytest.mark.until(3, 14)),
        pytest.param("uwsgi threads", marks=pytest.mark.until(3, 14)),
    ],
)
def test_a_server_records_the_applications_middleware_or_says_that_it_cannot(server: str, collector: Collector) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
    }
    command = (SERVERS | OTHER_SERVERS)[server].replace("wsgi:app", "store_front.served:gated")
    with serving(command, **environment) as client:
        assert client.get("/goods", headers=TRACED).text == "apple, pear"
        (entry,) = [
            span
            for span in collector.wait_for(lambda spans: any(span.role == "server" for span in spans))
            if span.role == "server"
        ]
    if server.startswith("uwsgi"):
        assert entry.functions == REQUEST
        assert entry.attributes["coverage.incomplete_reason"] == "middleware_outside"
    else:
        assert entry.functions == {*REQUEST, SERVED + "Gate.__call__", SERVED + "checked"}
        assert entry.attributes["coverage.complete"] is True


@pytest.mark.row("server of another framework's application", "gunicorn, Bottle")
def test_an_application_of_another_framework_is_recorded_where_its_server_is_followed(collector: Collector) -> None:
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
    }
    command = SERVERS["gunicorn sync"].replace("wsgi:app", "store_front.with_bottle:app")
    with serving(command, **environment) as client:
        assert client.get("/goods", headers=TRACED).text == "apple, pear"
        (entry,) = collector.wait_for_roles("server")
    assert entry.functions == {"store_front.with_bottle:list_goods", "store_front.goods:names"}
    assert entry.attributes["coverage.complete"] is True


def test_a_server_is_put_back_and_what_it_serves_since_is_passed_through(served: ModuleType, spans: Spans) -> None:
    wsgiref = importlib.import_module("wsgiref.simple_server")
    before = dict(vars(wsgiref.WSGIServer))
    instrument(None, spans)
    gate = served.Gate(served.create_app())
    server = wsgiref.make_server("127.0.0.1", 0, gate)
    try:
        assert isinstance(server.get_app(), served.Gate)
        otel_coverage.uninstrument()
        assert vars(wsgiref.WSGIServer) == before
        assert get(server.get_app()) == "apple, pear"
        assert spans.ended == []
    finally:
        server.server_close()


def test_where_the_callers_cannot_be_read_the_request_is_answered_and_its_entry_closed_and_incomplete(
    served: ModuleType, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = served.create_app()
    instrument(app, spans)
    recorder = installed()
    assert recorder is not None
    get(app)
    spans.clear()

    def fail(_: str) -> bool:
        raise RuntimeError

    monkeypatch.setattr(recorder, "is_application", fail)
    assert get(app) == "apple, pear"
    assert not recorder.is_recording
    entry = spans.only("server")
    assert functions(entry) == REQUEST
    assert (entry.attributes or {})["coverage.incomplete_reason"] == "middleware_outside"
