"""What a browser's session does by itself: cookies, redirects, CSRF tokens; and servers that misbehave."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, jsonify, make_response, redirect, request
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_coverage.playback import Outcome, Player, Profile, Step, Upload
from otel_coverage.playback.captures import Capture
from otel_coverage.playback.runner import play_all, repetitions
from tests.playback.application import served

PUBLIC = "shop.example"


@dataclass
class Shop:
    """An application, a player of it, and what it was asked."""

    player: Player
    spans: InMemorySpanExporter
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    def play(self, *steps: Step, **more: Any) -> Outcome:
        return self.player.play(Profile("tour", Path("tour.jsonl"), steps, **more))

    def but(self, **changes: Any) -> Shop:
        return replace(self, player=replace(self.player, **changes))


def step(method: str, path: str, status: int | None = None, **more: Any) -> Step:
    return Step(2, method, path, status, **more)


def application(shop: Callable[[], Shop]) -> Flask:
    app = Flask(__name__, static_folder=None)

    @app.before_request
    def note() -> None:
        shop().asked.append(f"{request.method} {request.full_path.rstrip('?')}")
        shop().headers.append(dict(request.headers))
        files = [(name, file.filename, file.read()) for name, file in request.files.items(multi=True)]
        shop().bodies.append((request.form.to_dict(flat=False), files, None if request.form or files else request.data))

    @app.get("/cookie")
    def cookie() -> Response:
        response = make_response("set")
        response.headers.add("Set-Cookie", f"session=1; Secure; HttpOnly; Domain={PUBLIC}; Path=/; SameSite=None")
        response.headers.add("Set-Cookie", "csrftoken=double; Path=/")
        return response

    @app.get("/no-cookie")
    def no_cookie() -> Response:
        response = make_response("unset")
        response.headers.add("Set-Cookie", f"session=; Domain={PUBLIC}; Path=/; Max-Age=0")
        return response

    @app.route("/to/<int:status>", methods=["GET", "POST", "PUT"])
    def away(status: int) -> Any:
        return redirect(request.args["url"], status)

    @app.get("/forms")
    def forms() -> str:
        return (
            '<meta name="csrf-token" content="of the page">'
            '<form action="/one"><input type=hidden name=_csrf_token value="of one"><input name=id value=17></form>'
            '<form action="/two"><input type=hidden name=_csrf_token value="of two"></form>'
        )

    @app.get("/flaky")
    @app.post("/flaky")
    def flaky() -> Any:
        return ("busy", shop().failures.pop()) if shop().failures else jsonify(fine=True)

    @app.route("/", defaults={"rest": ""}, methods=["GET", "POST", "PUT"])
    @app.route("/<path:rest>", methods=["GET", "POST", "PUT"])
    def anything(rest: str) -> Response:
        response = jsonify(path=rest, id=7, text="a")
        response.headers["X-Receipt"] = "r-5; kind=paper"
        return response

    return app


@pytest.fixture
def shop() -> Iterator[Shop]:
    spans, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with served(application(lambda: found)) as url:
        found = Shop(Player(url, "night-1", provider.get_tracer("test"), environment={"KEY": "hush-hush"}), spans)
        yield found


# -- cookies


def test_secure_cookies_of_the_recorded_domain_are_kept_and_deleted_on_plain_loopback(shop: Shop) -> None:
    assert shop.play(step("GET", "/cookie"), step("GET", "/a"), step("GET", "/no-cookie"), step("GET", "/b")).passed
    cookies = [headers.get("Cookie", "") for headers in shop.headers]
    assert [sorted(each.split("; ")) for each in cookies] == [
        [""],
        ["csrftoken=double", "session=1"],
        ["csrftoken=double", "session=1"],
        ["csrftoken=double"],
    ]


def test_cookies_that_the_recording_names_are_sent_from_the_start(shop: Shop) -> None:
    shop.play(step("GET", "/a"), cookies={"session": "${env:KEY}"}, headers={"Accept-Language": "de"})
    assert (shop.headers[0]["Cookie"], shop.headers[0]["Accept-Language"]) == ("session=hush-hush", "de")


# -- redirects


def test_the_status_and_the_target_of_a_redirect_are_those_of_the_first_answer(shop: Shop) -> None:
    found = step("POST", "/to/302?url=/orders/7", 302, redirect="/orders/*", form={"a": "1"})
    outcome = shop.play(found)
    assert outcome.failure is None
    assert shop.asked == ["POST /to/302?url=/orders/7", "GET /orders/7"]
    assert (outcome.steps[0].status, outcome.steps[0].final_status) == (302, 200)
    wrong = shop.play(replace(found, redirect="/login"))
    assert str(wrong.failure).endswith("redirects to /orders/7, expected /login")
    assert str(shop.play(replace(found, status=303)).failure).startswith(
        "tour.jsonl: line 2: POST /to/302?url=/orders/7: answered 302, expected 303"
    )
    shop.asked.clear()
    assert shop.play(replace(found, follow=False)).passed
    assert len(shop.asked) == 1


@pytest.mark.parametrize(("status", "second"), [(301, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_a_redirect_is_followed_with_the_method_that_browsers_use(shop: Shop, status: int, second: str) -> None:
    sent = step("POST", f"/to/{status}?url=/next", form={"a": ["1", "2"]})
    assert shop.play(sent).passed
    assert shop.asked[1] == f"{second} /next"
    assert shop.bodies[1][0] == ({"a": ["1", "2"]} if second == "POST" else {})


def test_redirects_to_the_recorded_host_are_followed_on_the_one_that_is_played_against(shop: Shop) -> None:
    leave = step("GET", f"/to/302?url=https://{PUBLIC}/home%3Fa=1", 302)
    assert shop.play(leave, hosts=(PUBLIC,)).passed
    assert shop.but(host=PUBLIC).play(leave).passed
    assert shop.asked[1::2] == ["GET /home?a=1"] * 2
    assert shop.headers[2]["Host"] == PUBLIC
    outcome = shop.play(leave, step("GET", "/not-sent"))
    assert f"redirects to https://{PUBLIC}/home?a=1, which is not the application at http://127" in str(outcome.failure)
    assert [each.word for each in outcome.steps] == ["failed", "not sent"]


def test_redirects_in_a_circle_end(shop: Shop) -> None:
    app = Flask("circle")
    app.get("/")(lambda: redirect("/"))
    with served(app) as url:
        outcome = shop.but(base_url=url).play(step("GET", "/"))
    assert "more than 20 redirects" in str(outcome.failure)


# -- CSRF tokens


def test_the_token_of_the_form_that_is_sent_replaces_the_recorded_one(shop: Shop) -> None:
    shop.play(
        step("GET", "/forms"),
        step("POST", "/one", form={"_csrf_token": "old", "id": "3"}),
        step("POST", "/two", form={"_csrf_token": "${csrf}"}),
        step("POST", "/three", json={"csrf_token": "old"}),
        step("POST", "/four", json={}),
        step("PUT", "/five", headers={"X-CSRF-Token": "old"}),
    )
    assert shop.bodies[1][0] == {"_csrf_token": ["of one"], "id": ["3"]}
    assert shop.bodies[2][0] == {"_csrf_token": ["of two"]}
    assert json.loads(shop.bodies[3][2]) == {"csrf_token": "of the page"}
    tokens = [{k: v for k, v in each.items() if "csrf" in k.lower()} for each in shop.headers]
    assert tokens == [{}, {}, {}, {}, {"X-Csrftoken": "of the page"}, {"X-Csrf-Token": "of the page"}]


def test_a_double_submit_cookie_is_sent_back_in_its_header(shop: Shop) -> None:
    shop.play(step("GET", "/cookie"), step("POST", "/a", json={}), step("POST", "/b", headers={"X-CSRFToken": "old"}))
    assert [each.get("X-Csrftoken") for each in shop.headers] == [None, "double", "double"]
    shop.play(step("GET", "/cookie"), step("POST", "/c", form={"csrfmiddlewaretoken": "${csrf}"}))
    assert shop.bodies[-1][0] == {"csrfmiddlewaretoken": ["double"]}


def test_without_a_page_that_has_a_token_the_reason_is_said_and_nothing_is_sent(shop: Shop) -> None:
    outcome = shop.play(step("POST", "/a", form={"csrf_token": "${csrf}"}), step("GET", "/b"))
    assert "no CSRF token is known" in str(outcome.failure)
    assert shop.asked == []
    assert not [span for span in shop.spans.get_finished_spans() if span.name == "POST"]


def test_requests_that_change_something_say_where_they_come_from(shop: Shop) -> None:
    shop.but(host=PUBLIC).play(step("GET", "/forms"), step("POST", "/one"))
    assert shop.headers[1]["Origin"] == f"http://{PUBLIC}"
    assert shop.headers[1]["Referer"] == f"http://{PUBLIC}/forms"
    assert "Origin" not in shop.headers[0]


# -- captures and bodies


def test_values_are_captured_from_headers_pages_and_bodies(shop: Shop) -> None:
    order = Capture(header="location", regex="[^/]+$")
    places = {
        "receipt": Capture(header="X-Receipt", regex="r-([0-9]+)"),
        "all": Capture(header="X-Receipt"),
        "text": Capture(regex='"text": *"(.)"'),
        "number": Capture(json="/id"),
    }
    outcome = shop.play(
        step("POST", "/a", captures=places),
        step("GET", "/forms", captures={"field": Capture(field="id")}),
        step(
            "POST",
            "/to/302?url=/orders/x%25C3%25A4",
            302,
            captures={"order": order},
        ),
        step("PUT", "/${receipt}/${text}/${order}", json=["${number}", "${all}", "${field}"]),
    )
    assert outcome.failure is None
    assert shop.asked[-1] == "PUT /5/a/xä"
    assert json.loads(shop.bodies[-1][2]) == [7, "r-5; kind=paper", "17"]


@pytest.mark.parametrize(
    ("capture", "message"),
    [
        (Capture(field="gone"), "the page has no form field 'gone'"),
        (Capture(header="X-Gone"), "the response has no header 'X-Gone'"),
        (Capture(header="X-Receipt", regex="q-"), "nothing in the header X-Receipt of the response matches 'q-': r-5"),
        (Capture(regex="gone"), "nothing in the body of the response matches 'gone': {"),
    ],
)
def test_a_value_that_is_not_there_fails_the_profile(shop: Shop, capture: Capture, message: str) -> None:
    assert message in str(shop.play(step("GET", "/a", captures={"x": capture})).failure)


def test_every_kind_of_body_is_sent(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\x00\xff")
    path = tmp_path / "a.csv"
    shop.play(
        step("POST", "/a", form={"x": ["1", "2"]}, multipart=True),
        step("POST", "/b", uploads=(Upload("f", path, "b c.txt", "text/x"), Upload("f", path), Upload("none", None))),
        step("POST", "/c", body="<a>${run} ${env:KEY}</a>", headers={"Content-Type": "text/xml"}),
        step("POST", "/d", body=path),
    )
    assert shop.headers[0]["Content-Type"].startswith("multipart/form-data")
    assert shop.bodies[0][0] == {"x": ["1", "2"]}
    assert shop.bodies[1][1] == [("f", "b c.txt", b"\x00\xff"), ("f", "a.csv", b"\x00\xff"), ("none", "", b"")]
    assert shop.bodies[2][2].startswith(b"<a>tour-")
    assert shop.bodies[2][2].endswith(b" hush-hush</a>")
    assert shop.bodies[3][2] == b"\x00\xff"


def test_a_recorded_304_accepts_200(shop: Shop) -> None:
    assert shop.play(step("GET", "/a", 304)).passed
    assert not shop.play(step("GET", "/a", 204)).passed


def test_what_comes_from_the_environment_is_neither_in_spans_nor_in_failures(shop: Shop) -> None:
    outcome = shop.play(step("GET", "/a?key=${env:KEY}"), step("GET", "/to/302?url=https://x.example/${env:KEY}"))
    assert shop.asked[0] == "GET /a?key=hush-hush"
    assert "https://x.example/${env:KEY}, which is not the application" in str(outcome.failure)
    texts = [str((span.attributes, span.status.description, span.events)) for span in shop.spans.get_finished_spans()]
    assert len(texts) == 4
    assert not [text for text in texts if "hush" in text]
    assert any("/a?key=REDACTED" in text for text in texts)


# -- repetitions and pauses


def test_each_repetition_is_a_run_of_its_own(shop: Shop) -> None:
    profile = Profile("tour", Path("r"), (step("GET", "/${run}"),))
    outcomes = list(play_all([(player, profile) for player in repetitions(shop.player, 3)], 2))
    assert sorted(each.run_id for each in outcomes) == ["night-1", "night-1.2", "night-1.3"]
    assert len(set(shop.asked)) == 3


def test_an_untraced_playback_names_no_profile(shop: Shop) -> None:
    shop.but(is_traced=False).play(step("GET", "/a"))
    assert not {"Traceparent", "Baggage"} & shop.headers[0].keys()


def test_pauses_are_those_of_the_recording_when_asked_for(shop: Shop) -> None:
    waited: list[float] = []

    class Clock(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0)
            return False

    steps = (step("GET", "/a", think=1.5), step("GET", "/b", think=60.0))
    shop.but(stopped=Clock()).play(*steps)
    assert waited == []
    assert shop.but(stopped=Clock(), thinks=True).play(*steps).passed
    assert waited == [1.5, 60.0]


# -- servers that misbehave


def test_requests_that_change_nothing_are_sent_again_while_the_server_is_unavailable(shop: Shop) -> None:
    shop.failures[:] = [503, 502]
    outcome = shop.but(retries=2).play(step("GET", "/flaky"))
    assert (outcome.failure, outcome.steps[0].attempts, outcome.requests) == (None, 3, 3)
    shop.failures[:] = [503, 502]
    assert "answered 502, expected a status below 400: busy" in str(shop.play(step("GET", "/flaky")).failure)
    shop.failures[:] = [503]
    assert shop.but(retries=2).play(step("POST", "/flaky")).steps[0].attempts == 1
    shop.failures[:] = [503]
    assert shop.but(retries=2).play(step("GET", "/flaky", 503)).steps[0].attempts == 1


@contextmanager
def misbehaving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a server that does that with each connection once it has read something of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if connection.recv(4096):
                        answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut_off(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")


def babble(connection: socket.socket) -> None:
    connection.sendall(b"no HTTP at all\r\n\r\n")


@pytest.mark.parametrize("answer", [reset, cut_off, babble])
def test_a_server_that_breaks_off_fails_its_profile_and_no_other(
    shop: Shop, answer: Callable[[socket.socket], None]
) -> None:
    profiles = [Profile(name, Path(f"{name}.jsonl"), (step("GET", "/a"),)) for name in ("broken", "fine")]
    with misbehaving(answer) as url:
        broken = shop.but(base_url=url, retries=1).player
        outcomes = {each.profile: each for each in play_all(list(zip((broken, shop.player), profiles, strict=True)), 1)}
    assert outcomes["fine"].passed
    failed = outcomes["broken"]
    assert str(failed.failure).startswith("broken.jsonl: line 2: GET /a: ")
    assert len(str(failed.failure)) > len("broken.jsonl: line 2: GET /a: ")
    assert (failed.steps[0].attempts, failed.steps[0].status, failed.requests) == (2, None, 0)


def test_a_server_that_hangs_fails_its_profile_after_the_time_that_it_has(shop: Shop) -> None:
    released = threading.Event()

    def hang(connection: socket.socket) -> None:
        released.wait(60)

    with misbehaving(hang) as url:
        outcome = shop.but(base_url=url).play(step("GET", "/a", timeout=0.3))
        released.set()
    assert str(outcome.failure) == "tour.jsonl: line 2: GET /a: no answer within 0.3 s; see --timeout"


def test_what_could_not_be_sent_is_sent_again_and_leaves_no_span_that_waits_for_an_answer(shop: Shop) -> None:
    with socket.socket() as bound:  # and not listening, so that nobody else listens there
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        outcome = shop.but(base_url=url, retries=1).play(step("POST", "/a"))
    assert not outcome.passed
    clients = [span for span in shop.spans.get_finished_spans() if span.name == "POST"]
    played = [span for span in shop.spans.get_finished_spans() if span.name.startswith("played")]
    assert len(clients) == 1
    assert played[0].attributes is not None
    assert played[0].attributes["playback.steps"] == 1
