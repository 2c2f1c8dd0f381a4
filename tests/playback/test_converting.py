"""HAR files become playback recordings."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import load
from otel_coverage.playback.schemas import schema
from tests.playback.har import SHOP, api, entry, posted, write

Convert = Callable[..., list[dict[str, Any]]]
VALID = Draft202012Validator(schema("recording.jsonl"))


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """Converts entries that follow the shop's first page; the lines of the recording, its header first."""

    def lines(*entries: dict[str, Any], options: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        har = write(tmp_path / "tour.har", *entries)
        done = CliRunner().invoke(cli, ["playback", "convert", str(har), "--out", str(tmp_path / "out"), *options])
        assert done.exit_code == 0, done.output or done.exception
        lines.report = json.loads(done.stdout)  # type: ignore[attr-defined]
        recording = tmp_path / "out" / "recording.jsonl"
        found = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
        assert [[error.message for error in VALID.iter_errors(line)] for line in found] == [[]] * len(found)
        return found

    return lines


def report(convert: Convert) -> dict[str, Any]:
    found: dict[str, Any] = convert.report  # type: ignore[attr-defined]
    return found


def refused(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, ["playback", "convert", *map(str, arguments)])
    assert isinstance(done.exception, ConfigurationError), done.output
    return str(done.exception)


# -- what is left out


LEFT_OUT = {
    "static": entry("GET", "/logo", mime="image/png"),
    "fonts": entry("GET", "/static/sans.woff2", mime="font/woff2"),
    "analytics": entry("POST", "https://www.google-analytics.com/g/collect", 204),
    "preflights": entry("OPTIONS", "/api/tea", 204, headers={"Access-Control-Request-Method": "PUT"}),
    "not-modified": entry("GET", "/offers", 304),
    "hosts": entry("GET", "https://cdn.example/widget"),
    "polls": api("GET", "/jobs/0c9d1f8e", answer={"status": "started"}),
}


@pytest.mark.parametrize("rule", LEFT_OUT)
def test_what_is_no_part_of_the_workflow_is_left_out_by_a_rule_that_can_be_switched_off(
    convert: Convert, rule: str, tmp_path: Path
) -> None:
    _, *steps = convert(LEFT_OUT[rule])
    assert [step["path"] for step in steps] == ["/"]
    assert report(convert)["left_out"] == {rule: 1}
    if rule != "analytics":  # of another host
        _, *steps = convert(LEFT_OUT[rule], options=("--keep", rule, "--force"))
        assert len(steps) == 2


def test_what_was_never_answered_by_the_application_is_always_left_out(convert: Convert) -> None:
    _, *steps = convert(
        entry("GET", "/gone", 0),
        entry("GET", "/cached", _fromCache="disk"),
        entry("GET", "/socket", 101, _resourceType="websocket"),
        entry("GET", "/events", mime="text/event-stream"),
    )
    assert [step["path"] for step in steps] == ["/"]
    assert report(convert)["left_out"] == {"cached": 1, "streams": 2, "unanswered": 1}


def test_paths_are_kept_or_left_out_by_their_globs(convert: Convert) -> None:
    chart = entry("GET", "/charts/7.png", mime="image/png")
    options = ("--keep-path", "/charts/*", "--skip-path", "/health")
    _, *steps = convert(chart, entry("GET", "/health"), options=options)
    assert [step["path"] for step in steps] == ["/", "/charts/7.png"]


def test_several_hosts_may_be_the_applications(convert: Convert) -> None:
    header, *steps = convert(
        api("GET", "https://api.shop.example:8443/tea"),
        options=("--host", "shop.example", "--host", "api.shop.example"),
    )
    assert header["hosts"] == ["shop.example", "api.shop.example"]
    assert [step["path"] for step in steps] == ["/", "/tea"]


# -- secrets


def test_passwords_tokens_and_keys_become_variables_wherever_they_are(convert: Convert, tmp_path: Path) -> None:
    _, *steps = convert(
        posted("/login", "name=ada&Password=hunter+22"),
        api("PUT", "/me", {"user": {"newPassword": "hunter 22", "api_key": "k-4711"}, "note": "my hunter 22!"}),
        entry("GET", "/feed?access_token=abc123&page=2", headers={"X-Api-Key": "k-4711"}),
        entry("GET", "/basic", headers={"Authorization": "Basic YWRhOmh1bnRlcg=="}),
    )
    assert steps[1]["form"] == {"name": "ada", "Password": "${env:PLAYBACK_PASSWORD}"}
    assert steps[2]["json"] == {
        "user": {"newPassword": "${env:PLAYBACK_PASSWORD}", "api_key": "${env:PLAYBACK_API_KEY}"},
        "note": "my ${env:PLAYBACK_PASSWORD}!",
    }
    assert steps[3]["path"] == "/feed?access_token=${env:PLAYBACK_ACCESS_TOKEN}&page=2"
    assert steps[3]["headers"] == {"X-Api-Key": "${env:PLAYBACK_API_KEY}"}
    assert steps[4]["headers"] == {"Authorization": "Basic ${env:PLAYBACK_AUTHORIZATION}"}
    text = (tmp_path / "out" / "recording.jsonl").read_text()
    assert not [secret for secret in ("hunter", "k-4711", "abc123", "YWRh") if secret in text]
    assert load(tmp_path / "out").variables() == tuple(sorted(report(convert)["variables"]))


def test_different_secrets_of_one_name_have_variables_of_their_own(convert: Convert) -> None:
    _, *steps = convert(posted("/login", "password=first1"), posted("/change", "password=first1&password_2=second2"))
    assert steps[2]["form"] == {
        "password": "${env:PLAYBACK_PASSWORD}",
        "password_2": "${env:PLAYBACK_PASSWORD_2}",
    }


def test_a_session_that_began_before_the_recording_comes_from_the_environment(convert: Convert) -> None:
    header, *steps = convert(
        entry("GET", "/me", headers={"Cookie": "session=s3cr3t; _ga=GA1.2.3"}, answer_headers={"Set-Cookie": "seen=1"}),
        entry("GET", "/me", headers={"Cookie": "session=s3cr3t; seen=1"}),
    )
    assert header["cookies"] == {"session": "${env:PLAYBACK_COOKIE_SESSION}"}
    assert all("Cookie" not in step.get("headers", {}) for step in steps)
    assert "begin the HAR before the login" in report(convert)["notes"][0]


# -- CSRF tokens


def test_csrf_tokens_are_those_of_the_session_that_is_played(convert: Convert) -> None:
    _, *steps = convert(
        posted("/a", "csrfmiddlewaretoken=T1&x=1"),
        api("POST", "/b", {"csrf_token": "T1"}, headers={"X-CSRFToken": "T2", "Cookie": "csrftoken=T2"}),
        api("POST", "/c", {}, headers={"X-XSRF-TOKEN": "a=b", "Cookie": "XSRF-TOKEN=a%3Db"}),
    )
    assert steps[1]["form"]["csrfmiddlewaretoken"] == "${csrf}"
    assert (steps[2]["json"], steps[2]["headers"]) == (
        {"csrf_token": "${csrf}"},
        {"X-Csrftoken": "${cookie:csrftoken}"},
    )
    assert steps[3]["headers"] == {"X-Xsrf-Token": "${cookie:XSRF-TOKEN}"}


# -- values of earlier answers


def test_values_of_earlier_answers_are_captured_from_them(convert: Convert) -> None:
    _, *steps = convert(
        api("POST", "/api/carts", {}, {"cart": {"id": 4711}, "token": "eyJhbGciOi.1"}, headers={"X-Nothing": "1"}),
        api("PUT", "/api/carts/4711", {"cart_id": 4711}, headers={"Authorization": "Bearer eyJhbGciOi.1"}),
        entry("GET", "/orders/new", answer='<form action="/orders"><input type="hidden" name="form_id" value="f-99">'),
        posted("/orders", "form_id=f-99&note=", 303, answer_headers={"Location": f"{SHOP}/orders/88?new=1"}),
        entry("GET", "/orders/88?new=1", answer='<a href="/invoices/x-17">Invoice</a>'),
        entry("GET", "/invoices/x-17", answer_headers={"X-Receipt": "rcpt-000017"}),
        api("GET", "/orders/88/receipts/rcpt-000017"),
    )
    paths = [(step["method"], step["path"], step.get("capture")) for step in steps]
    assert paths == [
        ("GET", "/", None),
        ("POST", "/api/carts", {"id": "/cart/id", "token": "/token"}),
        ("PUT", "/api/carts/${id}", None),
        ("GET", "/orders/new", {"form_id": {"field": "form_id"}}),
        (
            "POST",
            "/orders",
            {
                "invoice_id": {"regex": r"/invoices/([^/\"'?&#<>\s,;]+)"},
                "order_id": {"header": "Location", "regex": "/orders/([^/?#]+)"},
            },
        ),
        ("GET", "/invoices/${invoice_id}", {"receipt": {"header": "x-receipt"}}),
        ("GET", "/orders/${order_id}/receipts/${receipt}", None),
    ]
    assert (steps[2]["json"], steps[2]["headers"]) == ({"cart_id": "${id}"}, {"Authorization": "Bearer ${token}"})
    assert steps[4]["form"] == {"form_id": "${form_id}", "note": ""}


def test_what_the_user_sent_first_or_what_may_stand_anywhere_is_not_captured(convert: Convert) -> None:
    _, *steps = convert(
        api("POST", "/api/users", {"name": "ada-1815-12-10", "tea": 7}, {"name": "ada-1815-12-10", "sold": 7, "id": 1}),
        api("GET", "/api/users/ada-1815-12-10"),
        api("POST", "/api/v2/orders", {"tea": 7}, {"version": "v2"}),
        api("GET", "/api/v2/orders"),
        entry("GET", "/teas", answer='<a href="/teas/5">5</a> <a href="/teas/6">6</a>'),
        entry("GET", "/teas/6"),
    )
    assert [step for step in steps if "capture" in step] == []
    assert [step["path"] for step in steps[2:]] == [
        *("/api/users/ada-1815-12-10", "/api/v2/orders", "/api/v2/orders", "/teas", "/teas/6")
    ]


# -- values that have to be new


def test_a_fresh_value_is_replaced_everywhere_in_urls_and_redirect_targets_too(convert: Convert) -> None:
    mail, profile = "ada lovelace@example.org", "/u/ada%20lovelace%40example.org"
    _, *steps = convert(
        posted(
            "/register",
            "mail=ada+lovelace%40example.org",
            302,
            answer_headers={"Location": profile},
        ),
        entry("GET", profile, answer="Hello"),
        api("POST", "/api/mails?to=ada+lovelace%40example.org", {"text": f"Dear {mail}", "to": [mail]}),
        options=("--fresh", mail),
    )
    new = "${run}@example.org"
    assert steps[1]["form"] == {"mail": new}
    assert steps[1]["redirect"] == f"/u/{new}"
    assert steps[2]["path"] == f"/api/mails?to={new}"
    assert steps[2]["json"] == {"text": f"Dear {new}", "to": [new]}


def test_a_fresh_value_that_no_request_has_is_refused(tmp_path: Path) -> None:
    har = write(tmp_path / "tour.har")
    assert "--fresh 'ada': no request" in refused(har, "--out", tmp_path / "out", "--fresh", "ada")
    assert not (tmp_path / "out").exists()


# -- redirects


def test_a_redirect_to_another_host_is_not_followed_when_it_is_played(convert: Convert) -> None:
    _, *steps = convert(
        entry("GET", "/login", 302, answer_headers={"Location": "https://sso.example/authorize?state=1"}),
        entry("GET", "https://sso.example/authorize?state=1"),
        entry("GET", "/back"),
    )
    assert [(step["path"], step["status"], step.get("follow", True)) for step in steps] == [
        *(("/", 200, True), ("/login", 302, False), ("/back", 200, True))
    ]


def test_a_redirect_to_what_failed_is_a_step_of_its_own(convert: Convert) -> None:
    _, *steps = convert(
        entry("GET", "/old", 301, answer_headers={"Location": "/gone"}),
        entry("GET", "/gone", 410),
        entry("GET", "/new", 302, answer_headers={"Location": "/never-asked"}),
        entry("GET", "/one", 302, answer_headers={"Location": "/two"}),
        entry("GET", "/two", 302, answer_headers={"Location": "/three"}),
        entry("GET", "/three", 302, answer_headers={"Location": "https://sso.example/"}),
    )
    assert [(step["path"], step["status"], step.get("follow", True)) for step in steps] == [
        *(("/", 200, True), ("/old", 301, False), ("/gone", 410, True), ("/new", 302, False)),
        *(("/one", 302, False), ("/two", 302, False), ("/three", 302, False)),
    ]


# -- bodies


MULTIPART = (
    '--b\r\nContent-Disposition: form-data; name="tag"\r\n\r\nred\r\n'
    '--b\r\nContent-Disposition: form-data; name="tag"\r\n\r\nblue ${x}\r\n'
    '--b\r\nContent-Disposition: form-data; name="list"; filename="a b.csv"\r\nContent-Type: text/csv\r\n\r\n1,2\r\n'
    '--b\r\nContent-Disposition: form-data; name="none"; filename=""\r\n'
    "Content-Type: application/octet-stream\r\n\r\n\r\n"
    "--b--\r\n"
)


def test_forms_with_files_are_taken_apart(convert: Convert, tmp_path: Path) -> None:
    _, *steps = convert(entry("POST", "/import", sent=("multipart/form-data; boundary=b", MULTIPART)))
    assert steps[1]["form"] == {"tag": ["red", "blue $${x}"]}
    assert steps[1]["files"] == {
        "list": {"path": "uploads/a_b.csv", "name": "a b.csv", "type": "text/csv"},
        "none": None,
    }
    assert (tmp_path / "out" / "uploads" / "a_b.csv").read_bytes() == b"1,2"


def test_a_form_that_the_har_lacks_is_that_of_the_page(convert: Convert, tmp_path: Path) -> None:
    (tmp_path / "stock.csv").write_bytes(b"\xff\x00")
    form = (
        '<form action="/import" method="post"><input type="hidden" name="csrf_token" value="T"><input name="note">'
        '<textarea name="why">\nAs ever</textarea>'
        '<select name="kind"><option value="a"><option value="b" selected></select>'
        '<input type="checkbox" name="all"><input type="radio" name="mode" value="x" checked>'
        '<input type="file" name="stock">'
        '<button name="go">'
    )
    lost = entry(
        "POST", "/import", headers={"Content-Type": "multipart/form-data; boundary=b", "Content-Length": "999"}
    )
    options = ("--upload", f"stock={tmp_path / 'stock.csv'}")
    _, *steps = convert(entry("GET", "/import", answer=form), lost, options=options)
    assert steps[2]["form"] == {"csrf_token": "${csrf}", "note": "", "why": "As ever", "kind": "b", "mode": "x"}
    assert steps[2]["files"] == {"stock": "uploads/stock.csv"}
    assert (tmp_path / "out" / "uploads" / "stock.csv").read_bytes() == b"\xff\x00"
    (note,) = report(convert)["notes"]
    assert note.startswith("line 4, POST /import: the HAR lacks the body; its fields are those of the page")
    assert note.endswith("correct note, why, kind, mode, or convert with --field note=…")


def test_a_file_that_the_har_lacks_is_named_and_playing_without_it_is_refused(convert: Convert, tmp_path: Path) -> None:
    body = MULTIPART.replace("1,2", "")
    convert(entry("POST", "/import", sent=("multipart/form-data; boundary=b", body)))
    assert report(convert)["notes"] == [
        "line 3: the HAR lacks the file of 'list': put it where the line says, or convert with --upload list=FILE"
    ]
    with pytest.raises(ConfigurationError, match=r"line 3: no file .*a_b\.csv to upload as 'list'"):
        load(tmp_path / "out")


def test_other_bodies_are_sent_as_they_were(convert: Convert) -> None:
    xml = ("application/xml", "<tea kind='${x}'/>")
    patch = ("application/merge-patch+json", '{"a": [1, null, "${y}"]}')
    _, *steps = convert(entry("POST", "/xml", sent=xml), entry("PATCH", "/p", sent=patch), entry("POST", "/empty"))
    assert (steps[1]["body"], steps[1]["headers"]) == ("<tea kind='$${x}'/>", {"Content-Type": "application/xml"})
    assert (steps[2]["json"], steps[2]["headers"]) == ({"a": [1, None, "$${y}"]}, {"Content-Type": patch[0]})
    assert not {"body", "json", "form"} & steps[3].keys()


def test_the_users_pauses_are_kept(convert: Convert) -> None:
    _, *steps = convert(entry("GET", "/a", at=2.0), entry("GET", "/b", at=2.005), entry("GET", "/c", at=62.515))
    assert [step.get("think") for step in steps] == [None, 1.99, None, 60.5]


# -- malformed files


def test_headers_of_http2_and_base64_bodies_are_understood(convert: Convert) -> None:
    answer = base64.b64encode(b'{"id": "order-00017"}').decode()
    first = api("POST", "/orders", {}, headers={":method": "POST", ":authority": "shop.example", "X-Kind": "a"})
    first["response"]["content"] = {"mimeType": "application/json", "text": answer, "encoding": "base64"}
    second = api("GET", "/orders/order-00017")
    second["response"]["content"] = {"mimeType": "application/json", "text": "no base64!", "encoding": "base64"}
    _, *steps = convert(first, second)
    assert steps[1]["headers"] == {"X-Kind": "a"}
    assert steps[2]["path"] == "/orders/${id}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a HAR file, or not all of one: the JSON ends or breaks before the first entry"),
        ("<html>", "not a HAR file, or not all of one"),
        ("[]", "no requests; a HAR file has them in log.entries"),
        ('{"log": {"entries": {"a": 1}}}', "no requests"),
        ('{"log": {"entries": [7]}}', "entry 1: a request and its response are expected, not '7'"),
        ('{"log": {"entries": [{"request": {}}]}}', "entry 1: lacks its request or its response"),
        (
            '{"log": {"entries": [{"request": {"method": "GET"}, "response": {}}]}}',
            "entry 1: request.method and request.url",
        ),
        (
            '{"log": {"entries": [{"request": {"method": "GET", "url": "http://a/"}, "response": {"status": "x"}}]}}',
            "entry 1: response.status must be a number, not 'x'",
        ),
    ],
)
def test_what_is_no_har_file_is_refused_and_nothing_is_written(tmp_path: Path, text: str, message: str) -> None:
    har = tmp_path / "broken.har"
    har.write_text(text)
    said = refused(har, "--out", tmp_path / "out")
    assert said.startswith(f"{har}: {message}")
    assert [each.name for each in tmp_path.iterdir()] == ["broken.har"]


def test_a_file_that_is_cut_off_says_after_which_entry(tmp_path: Path) -> None:
    har = write(tmp_path / "cut.har", entry("GET", "/a"), entry("GET", "/b"))
    har.write_text(har.read_text()[:-200])
    said = refused(har, "--out", tmp_path / "out")
    assert "the JSON ends or breaks after entry 2, the last that is whole" in said
    assert said.endswith("save it again")
    assert refused(tmp_path / "none.har").startswith(f"{tmp_path / 'none.har'}: No such file")


def test_a_recording_that_is_there_is_replaced_only_when_asked(convert: Convert, tmp_path: Path) -> None:
    convert()
    said = refused(tmp_path / "tour.har", "--out", tmp_path / "out")
    assert said.endswith("recording.jsonl: exists; --force replaces it, --out names another")
    assert len(convert(entry("GET", "/a"), options=("--force",))) == 3


def test_a_har_file_is_not_played_before_it_is_converted(tmp_path: Path) -> None:
    har = write(tmp_path / "tour.har")
    copy = tmp_path / "tour.json"
    copy.write_text(har.read_text())
    for file in (har, copy):
        with pytest.raises(ConfigurationError, match=r"`otel-coverage playback convert .*` makes a recording of it"):
            load(file)


def test_a_har_file_of_100_megabytes_is_read_in_little_memory(tmp_path: Path) -> None:
    har, big = tmp_path / "big.har", json.dumps(entry("GET", "/app.js", mime="text/javascript", answer="x" * 1_000_000))
    with har.open("w", encoding="utf-8") as file:
        file.write('{"log": {"entries": [' + json.dumps(entry("GET", "/")))
        for _ in range(100):
            file.write("," + big)
        file.write("]}}")
    code = (
        "import sys; from otel_coverage.playback.converting import *; from pathlib import Path\n"
        "def most(): return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024\n"
        "before = most(); made = convert(har.source(Path(sys.argv[1])), Path(sys.argv[2]), 'big', Rules(()))\n"
        "print(made.left_out, most() - before)"
    )
    command = [sys.executable, "-c", code, str(har), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    counts, _, megabytes = done.stdout.rpartition(" ")
    assert counts == "{'static': 100}"
    assert int(megabytes) < 50
