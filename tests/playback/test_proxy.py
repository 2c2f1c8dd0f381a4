"""What passes through the proxy of `playback record`, and how."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.playback.behind import LARGE, PIECE, Behind, behind
from tests.playback.proxying import Recorder, recording
from tests.support.commands import NO_KEPT, PATIENCE, wait_until


@pytest.fixture(scope="module")
def application() -> Iterator[Behind]:
    with behind() as state:
        yield state


@pytest.fixture(scope="module")
def proxy(application: Behind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    with recording(tmp_path_factory.mktemp("passing"), "passing", application.url) as recorder:
        yield recorder


@pytest.fixture
def browser(proxy: Recorder) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=PATIENCE, limits=NO_KEPT) as client:
        yield client


def wanted(status: int = 200, *headers: tuple[str, str], **more: str) -> dict[str, str]:
    return {"status": str(status), "headers": json.dumps(headers), **more}


def seen(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    return {**found, "headers": dict(found["headers"])}


def opened(proxy: Recorder, path: str, **options: Any) -> ClientConnection:
    url = proxy.url.replace("http", "ws", 1) + path
    found: ClientConnection = connect(url, open_timeout=PATIENCE, max_size=None, **options)
    return found


def test_the_application_sees_its_own_address_and_no_header_of_the_connection(
    proxy: Recorder, browser: httpx.Client, application: Behind
) -> None:
    sent = {
        "Origin": proxy.url,
        "Referer": f"{proxy.url}/basket?page=2",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Proxy-Authorization": "Basic eA==",
        "TE": "trailers",
        "Accept-Encoding": "gzip, br, zstd",
        "X-Own": "kept",
    }
    headers = seen(browser.post("/echo", headers=sent, content=b"x"))["headers"]
    assert headers["host"] == application.host
    assert (headers["origin"], headers["referer"]) == (application.url, f"{application.url}/basket?page=2")
    assert (headers["accept-encoding"], headers["x-own"]) == ("gzip", "kept")
    assert not headers.keys() & {"x-hop", "proxy-authorization", "te", "via", "x-forwarded-for"}
    assert not [value for value in headers.values() if proxy.url in value]


def test_the_origin_of_another_page_is_passed_as_it_is(browser: httpx.Client) -> None:
    headers = seen(browser.post("/echo", headers={"Origin": "https://other.example"}))["headers"]
    assert headers["origin"] == "https://other.example"


@pytest.mark.parametrize("path", ["/a%2Fb/%C3%A9%20c", "//twice//slashes/", "/a;b=1/@:!$&'()*+,=~", "/%zz"])
def test_a_path_arrives_as_the_browser_wrote_it(browser: httpx.Client, proxy: Recorder, path: str) -> None:
    answer = browser.send(browser.build_request("GET", httpx.URL(proxy.url).copy_with(raw_path=path.encode())))
    assert seen(answer)["path"] == path


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("{own}/orders/7?x=1#y", "{proxy}/orders/7?x=1#y"),
        ("{own}", "{proxy}/"),
        ("/orders/7", "/orders/7"),
        ("../orders", "../orders"),
        ("https://sso.example/authorize?back={own}", "https://sso.example/authorize?back={own}"),
    ],
)
def test_a_redirect_to_the_application_leads_to_the_proxy(
    browser: httpx.Client, proxy: Recorder, application: Behind, location: str, expected: str
) -> None:
    own = {"own": application.url, "proxy": proxy.url}
    answer = browser.get("/moved", params=wanted(302, ("Location", location.format(**own))))
    assert (answer.status_code, answer.headers["location"]) == (302, expected.format(**own))


def test_a_sign_on_at_another_host_is_said_at_once_without_what_its_query_holds(
    browser: httpx.Client, proxy: Recorder
) -> None:
    leaving = ("Location", "https://sso.example/authorize?state=s3cret")
    browser.get("/sign-on", params=wanted(302, leaving))
    wait_until(lambda: "GET /sign-on redirects to https://sso.example/authorize: that host is not" in proxy.said)
    assert "s3cret" not in proxy.said


def test_an_application_that_wants_https_is_named_as_such(
    browser: httpx.Client, proxy: Recorder, application: Behind
) -> None:
    port = application.host.rpartition(":")[2]
    secure = f"https://127.0.0.1:{port}/safe"
    answer = browser.get("/plain", params=wanted(301, ("Location", secure)))
    assert answer.headers["location"] == secure
    wait_until(lambda: f"the application wants HTTPS; record with --target https://127.0.0.1:{port}" in proxy.said)


def test_cookies_of_a_domain_belong_to_the_proxy_and_come_back(browser: httpx.Client) -> None:
    answer = browser.post("/login")
    assert answer.headers["set-cookie"] == "session=of-today; Path=/"
    assert seen(browser.get("/echo"))["headers"]["cookie"] == "session=of-today"
    several = [("Set-Cookie", "__Host-id=1; Secure; Path=/; Domain=shop.example"), ("Set-Cookie", "b=2; HttpOnly")]
    answer = browser.get("/echo", params=wanted(200, *several))
    assert answer.headers.get_list("set-cookie") == ["__Host-id=1; Secure; Path=/", "b=2; HttpOnly"]


def test_an_answer_keeps_its_headers_but_those_that_lead_away_from_the_proxy(
    browser: httpx.Client, proxy: Recorder, application: Behind
) -> None:
    given = [
        ("Access-Control-Allow-Origin", application.url),
        ("Alt-Svc", 'h3=":443"'),
        ("Strict-Transport-Security", "max-age=1"),
        ("X-Own", "é"),
        ("ETag", 'W/"7"'),
    ]
    headers = browser.get("/echo", params=wanted(200, *given)).headers
    assert headers["access-control-allow-origin"] == proxy.url
    assert (headers["etag"], headers["content-type"]) == ('W/"7"', "application/json")
    assert not headers.keys() & {"alt-svc", "strict-transport-security"}
    assert "x-own" in headers
    assert "content-type" not in browser.get("/echo", params=wanted(bare="1")).headers


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_one(browser: httpx.Client, status: int) -> None:
    answer = browser.get("/echo", params=wanted(status, ("ETag", '"7"')))
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (status, b"", '"7"')
    assert "transfer-encoding" not in answer.headers


def test_a_head_request_is_answered_with_the_length_alone(browser: httpx.Client) -> None:
    answer = browser.head("/large", params={"length": "1"})
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(LARGE))


@pytest.mark.parametrize("length", [{}, {"length": "1"}], ids=["chunked", "with its length"])
def test_a_large_answer_passes_whole(browser: httpx.Client, length: dict[str, str]) -> None:
    digest, total = hashlib.sha256(), 0
    with browser.stream("GET", "/large", params=length) as answer:
        assert answer.headers.get("content-length") == (str(LARGE) if length else None)
        for chunk in answer.iter_bytes():
            digest.update(chunk)
            total += len(chunk)
    expected = hashlib.sha256()
    for _ in range(LARGE // len(PIECE)):
        expected.update(PIECE)
    assert (total, digest.digest()) == (LARGE, expected.digest())


def test_an_event_arrives_before_the_next_one_is_sent(
    browser: httpx.Client, proxy: Recorder, application: Behind
) -> None:
    with browser.stream("GET", "/events", params={"gate": "live"}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "data: first"
        application.gates["live"].set()
        assert [line for line in lines if line] == ["data: second"]
    wait_until(lambda: "GET /events is an event stream: it is passed on, and not recorded" in proxy.said)


def test_an_answer_that_breaks_off_does_not_look_whole(browser: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        browser.get("/broken")


def test_a_client_that_waits_for_leave_to_send_a_body_gets_it(proxy: Recorder) -> None:
    url = httpx.URL(proxy.url)
    with (
        socket.create_connection((url.host, url.port or 80), PATIENCE) as connection,
        connection.makefile("rb") as sent,
    ):
        head = f"PUT /echo HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 4\r\nConnection: close\r\n"
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert [sent.readline(), sent.readline()] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
        connection.sendall(b"body")
        assert b'"length": 4' in sent.read()


def test_a_browser_that_leaves_in_the_middle_of_an_answer_is_no_error(
    browser: httpx.Client, proxy: Recorder, application: Behind
) -> None:
    with browser.stream("GET", "/events", params={"gate": "left"}) as answer:
        assert next(answer.iter_lines()) == "data: first"
    application.gates["left"].set()
    assert browser.get("/echo").status_code == 200
    assert "Traceback" not in proxy.said
    assert "Error" not in proxy.said


def test_a_compressed_page_passes_as_it_is(browser: httpx.Client) -> None:
    answer = browser.get("/page")
    assert (answer.headers["content-encoding"], answer.text) == ("gzip", "<p>here</p>")


def test_a_page_whose_links_leave_the_proxy_is_named(
    browser: httpx.Client, proxy: Recorder, application: Behind
) -> None:
    browser.get("/page", params={"link": application.url})
    wait_until(lambda: f"GET /page names {application.url} itself" in proxy.said)


def test_messages_of_a_websocket_pass_both_ways(proxy: Recorder, application: Behind) -> None:
    with opened(proxy, "/messages", origin=proxy.url, subprotocols=["soap", "wamp"]) as socket:
        assert socket.subprotocol == "wamp"
        first = json.loads(socket.recv(PATIENCE))
        assert (first["host"], first["origin"]) == (application.host, application.url)
        for message in ("text é", b"\x00\xff" * 3_000_000, ""):
            socket.send(message)
            assert socket.recv(PATIENCE) == message
        socket.ping().wait(PATIENCE)
    wait_until(lambda: 1000 in application.closed)
    wait_until(lambda: "GET /messages is a WebSocket: it is passed on, and not recorded" in proxy.said)


def test_a_websocket_is_closed_with_the_code_of_the_application(proxy: Recorder) -> None:
    with opened(proxy, "/messages") as socket:
        socket.recv(PATIENCE)
        socket.send("close")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4711, "enough")


def test_a_websocket_that_the_application_refuses_is_refused(proxy: Recorder) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(proxy, "/messages?refuse=1"):
        pass
    assert refused.value.response.status_code == 403


def test_a_page_of_another_host_whose_name_leads_here_gets_nothing(browser: httpx.Client) -> None:
    answer = browser.get("/echo", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.text) == (403, "This proxy answers to names of this machine alone.\n")
    assert seen(browser.get("/echo", headers={"Host": "localhost:1"}))["path"] == "/echo"
