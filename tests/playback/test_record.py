"""What `playback record` writes, and when it does not."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from otel_coverage.cli.main import cli
from otel_coverage.playback.client import NO_FILE
from otel_coverage.playback.schemas import schema
from tests.playback.behind import LARGE, Behind, behind
from tests.playback.proxying import Recorder, recording
from tests.support.commands import BIN, NO_KEPT, PATIENCE, call, wait_until
from tests.support.ports import free_port

VALID = Draft202012Validator(schema("recording.jsonl"))


@pytest.fixture(scope="module")
def application() -> Iterator[Behind]:
    with behind() as state:
        yield state


def browser(recorder: Recorder) -> httpx.Client:
    return httpx.Client(base_url=recorder.url, timeout=PATIENCE, limits=NO_KEPT, headers={"Accept": "*/*"})


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["playback", "record", *arguments])
    assert done.exit_code != 0
    return str(done.exception) if str(done.exception) != "2" else done.output


def test_bodies_of_every_kind_are_recorded_as_they_were_sent(application: Behind, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(b"\xff\r\n--no boundary\r\n" * (LARGE // 18))
    with recording(tmp_path, "bodies", application.url) as recorder, browser(recorder) as client:
        with large.open("rb") as file:
            files: list[Any] = [
                ("one", ("größe.bin", file, "image/x-raw")),
                ("one", (NO_FILE, b"", "application/octet-stream")),
            ]
            sent = client.post("/upload", data={"title": "T", "password": "s3cret!"}, files=files).json()
        assert sent["length"] > LARGE - 100
        client.post("/raw", content=b"\x00\xfe\xff", headers={"Content-Type": "application/x-own"})
        client.put("/text", content="grün", headers={"Content-Type": "text/plain"})
        client.post("/json", json={"token": "t0ken-1", "n": [1, None]})
        client.post("/form", data={"a": ["1", "2"], "b": "ü&="})
        client.request("DELETE", "/empty", headers={"Content-Type": "application/json"})

        def pieces() -> Iterator[bytes]:
            yield b"in "
            yield b"pieces"

        client.post("/chunked", content=pieces(), headers={"Content-Type": "text/plain"})
    upload, raw, text, document, form, empty, chunked = recorder.lines("bodies")
    folder = tmp_path / "profiles" / "bodies"
    first, second = upload["files"]["one"]
    assert (upload["form"], second) == ({"title": "T", "password": "${env:PLAYBACK_PASSWORD}"}, None)
    assert (first["name"], first["type"]) == ("größe.bin", "image/x-raw")
    assert (folder / first["path"]).read_bytes() == large.read_bytes()
    assert raw["headers"]["Content-Type"] == "application/x-own"
    assert (folder / raw["body"]["file"]).read_bytes() == b"\x00\xfe\xff"
    assert (text["body"], chunked["body"]) == ("grün", "in pieces")
    assert document["json"] == {"token": "${env:PLAYBACK_TOKEN}", "n": [1, None]}
    assert form["form"] == {"a": ["1", "2"], "b": "ü&="}
    assert not empty.keys() & {"body", "json", "form"}
    assert [path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))] == [0] * 5
    assert not [error for line in recorder.lines("bodies") for error in VALID.iter_errors(line)]


def test_a_body_above_the_limit_passes_and_is_named_and_not_recorded(application: Behind, tmp_path: Path) -> None:
    with recording(tmp_path, "big", application.url, "--max-body", "1") as recorder, browser(recorder) as client:
        content = b"\xff" * 1_000_001
        answer = client.post("/upload", content=content, headers={"Content-Type": "application/x-own"})
        assert answer.json()["length"] == len(content)
        said = "POST /upload: its body has more than 1 MB (--max-body) and was not recorded"
        wait_until(lambda: said in recorder.said)
    (line,) = recorder.lines("big")
    assert line["path"] == "/upload"
    assert "body" not in line
    assert recorder.result["notes"] == [f"line 2, {said}"]


def test_what_passed_is_shown_as_it_goes_and_what_is_left_out_is_counted(application: Behind, tmp_path: Path) -> None:
    options = ("--skip-path", "/health", "--keep-path", "/kept.css", "--fresh", "nobody")
    with recording(tmp_path, "mixed", application.url, *options) as recorder, browser(recorder) as client:
        client.get("/a?x=1")
        client.get("/site.css")
        client.get("/kept.css")
        client.get("/health")
        client.get("/seen", params={"status": "304"})
        wait_until(lambda: recorder.said.count("\n") >= 6)
        assert "GET /site.css  200" in recorder.said
        assert "left out: static" in recorder.said
    assert [line["path"] for line in recorder.lines("mixed")] == ["/a?x=1", "/kept.css"]
    assert recorder.result["left_out"] == {"not-modified": 1, "paths": 1, "static": 1}
    assert recorder.result["notes"] == ["--fresh 'nobody': no request that is left has this value"]


def test_a_redirect_to_another_name_of_the_application_is_followed_and_recorded_as_one_request(
    application: Behind, tmp_path: Path
) -> None:
    with (
        recording(tmp_path, "named", application.url, "--host", "www.shop.example") as recorder,
        browser(recorder) as client,
    ):
        for location in ("https://www.shop.example/orders?page=2", "http://[broken"):
            moved = {"status": "302", "headers": json.dumps([("Location", location)])}
            answer = client.post("/checkout", params=moved)
            if location.endswith("2"):
                client.get(answer.headers["location"])
    first, second = recorder.lines("named")
    assert (first["status"], first["redirect"], "follow" in first) == (302, "/orders", False)
    assert (second["status"], "redirect" in second) == (302, False)
    assert "POST /checkout redirects to what is not a URL" in recorder.said


def test_cookies_that_are_older_than_the_recording_are_said_at_once(application: Behind, tmp_path: Path) -> None:
    with recording(tmp_path, "late", application.url) as recorder, browser(recorder) as client:
        client.get("/a", headers={"Cookie": "session=of-yesterday"})
        wait_until(lambda: "the browser sends cookies that are older than this recording (session)" in recorder.said)
    assert "of-yesterday" not in (tmp_path / "profiles" / "late" / "recording.jsonl").read_text()
    assert recorder.result["variables"] == ["PLAYBACK_COOKIE_SESSION"]
    assert "record again in a private window, from before the login" in recorder.result["notes"][0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_when_the_last_answer_has_come(
    application: Behind, tmp_path: Path, number: signal.Signals
) -> None:
    gate = f"last-{number.name}"
    application.gates[f"{gate}-slow"] = threading.Event()
    with recording(tmp_path, "ended", application.url) as recorder, browser(recorder) as client:
        client.get("/first")
        with client.stream("GET", "/events", params={"gate": gate}) as stream:
            assert next(stream.iter_lines()) == "data: first"  # and goes on: nobody waits for a stream
            slow = threading.Thread(target=lambda: browser(recorder).get("/slow", params={"gate": f"{gate}-slow"}))
            slow.start()
            wait_until(lambda: f"{gate}-slow" in application.waiting)
            recorder.process.send_signal(number)
            wait_until(lambda: f"{number.name}: " in recorder.said)
            application.gates[f"{gate}-slow"].set()
            recorder.code = recorder.process.wait(PATIENCE)
            slow.join()
    assert recorder.code == 0
    assert [line["path"].partition("?")[0] for line in recorder.lines("ended")] == ["/first", "/slow"]
    assert recorder.result["left_out"] == {"streams": 1}


def test_a_recording_that_is_killed_leaves_the_one_that_was_there(application: Behind, tmp_path: Path) -> None:
    folder = tmp_path / "profiles" / "again"
    for path in ("/old", "/new"):
        options = ("--force",) if folder.exists() else ()
        with recording(tmp_path, "again", application.url, *options) as recorder, browser(recorder) as client:
            client.get(path)
    assert [line["path"] for line in recorder.lines("again")] == ["/new"]
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    with recording(tmp_path, "again", application.url, "--force") as recorder, browser(recorder) as client:
        client.post("/upload", content=b"\xff" * 2_000_000)
        recorder.stop(signal.SIGKILL)
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before
    assert [path.name for path in folder.parent.iterdir()] == ["again"]


def test_where_nothing_was_recorded_nothing_is_written(application: Behind, tmp_path: Path) -> None:
    with recording(tmp_path, "none", application.url) as recorder:
        recorder.stop()
    assert recorder.code == 2
    assert "the proxy: no request has come; nothing was written" in recorder.said
    assert not (tmp_path / "profiles" / "none").exists()


def test_an_application_that_stops_is_said_and_the_recording_goes_on(tmp_path: Path) -> None:
    with behind() as application, recording(tmp_path, "stops", application.url) as recorder:
        client = browser(recorder)
        client.get("/there")
        application.stop()
        answer = client.get("/gone")
    assert answer.status_code == 502
    assert "the application did not answer" in answer.text
    assert "GET /gone: the application did not answer" in recorder.said
    assert [line["path"] for line in recorder.lines("stops")] == ["/there"]
    assert recorder.result["left_out"] == {"unanswered": 1}


def kept(folder: Path, *lines: dict[str, Any]) -> Path:
    """A recording that is there, of these requests."""
    file = folder / "profiles" / "again" / "recording.jsonl"
    file.parent.mkdir(parents=True)
    header = {"recording": 1, "profile": "again", "about": "Mended by hand."}
    file.write_text("".join(json.dumps(line) + "\n" for line in (header, *lines)))
    return file


def test_a_line_that_is_kept_captures_what_the_new_ones_need_of_its_answer(application: Behind, tmp_path: Path) -> None:
    made = {"method": "GET", "path": f"/make?{urlencode({'headers': json.dumps([('X-Order', 'order-77123')])})}"}
    login = {"method": "POST", "path": "/login", "json": {"name": "${run}", "password": "${env:SECRET}"}}
    file = kept(tmp_path, made, login, {"method": "GET", "path": "/replaced"})
    header = file.read_text().splitlines()[0]
    with (
        recording(tmp_path, "again", application.url, "--from", "4", SECRET="hunter 22") as recorder,
        httpx.Client(timeout=PATIENCE, follow_redirects=True) as client,
    ):
        client.get(recorder.url)
        own = recorder.url.partition("/.")[0]
        own_headers = dict(client.get(f"{own}/orders/order-77123").json()["headers"])
        name = re.search(r"again-[0-9a-f]{8}", str(application.bodies))
        assert name is not None
        client.post(f"{own}/orders", json={"by": name[0], "note": "hunter 22"})
    assert own_headers["cookie"] == "session=of-today"
    first, *lines = map(json.loads, file.read_text().splitlines())
    assert first == {**json.loads(header), "hosts": [application.host]}
    assert lines[:2] == [{**made, "capture": {"order": {"header": "x-order"}}}, login]
    assert [line["path"] for line in lines[2:]] == ["/orders/${order}", "/orders"]
    assert lines[3]["json"] == {"by": "${run}", "note": "${env:SECRET}"}


def test_a_line_that_is_kept_and_fails_ends_the_recording_and_changes_nothing(
    application: Behind, tmp_path: Path
) -> None:
    file = kept(tmp_path, {"method": "GET", "path": "/a", "status": 404}, {"method": "GET", "path": "/b"})
    before = file.read_text()
    command = [str(BIN / "otel-coverage"), "playback", "record", "again", "--target", application.url, "--from", "3"]
    done = call(command, tmp_path)
    assert done.returncode == 2
    assert "line 2: GET /a: answered 200, expected 404" in done.stderr
    assert "so nothing was recorded: correct the line, or record from an earlier one" in done.stderr
    assert file.read_text() == before


def test_lines_to_keep_have_to_be_there(application: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("again", "--target", application.url, "--from")
    assert "no such recording, so nothing of it can be kept" in refused(*options, "3")
    kept(tmp_path, {"method": "GET", "path": "/a", "headers": {"X": "${env:KEY_OF_NOBODY}"}})
    for line in ("2", "4"):
        assert f"--from {line} must be a line from 3 to 3" in refused(*options, line)
    assert "the environment lacks KEY_OF_NOBODY" in refused(*options, "3")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shop.example", "--target 'shop.example' must be http://HOST[:PORT] or https://HOST[:PORT]"),
        ("http://u:p@shop.example", "must be http://HOST[:PORT] or https://HOST[:PORT]"),
        ("http://shop.example/app", "must end after the host"),
        ("http://shop.example:99999", "is not a URL"),
    ],
)
def test_a_target_that_is_none_is_refused(target: str, message: str) -> None:
    assert message in refused("checkout", "--target", target)


def test_what_cannot_be_recorded_is_refused_before_anybody_clicks(
    application: Behind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the profile 'Check Out' is not valid" in refused("Check Out", "--target", application.url)
    nobody = f"http://127.0.0.1:{free_port()}"
    assert f"{nobody}: Connect" in refused("checkout", "--target", nobody)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--port {port}: " in refused("checkout", "--target", application.url, "--port", port)
    folder = tmp_path / "profiles" / "checkout"
    folder.mkdir(parents=True)
    (folder / "recording.jsonl").write_text(json.dumps({"recording": 1}))
    assert "recording.jsonl: exists; --force records it anew, --from LINE a part of it" in refused(
        "checkout", "--target", application.url
    )
