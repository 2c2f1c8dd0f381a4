"""Whatever a browser sends and an application answers: a recording is made of it, which can be loaded."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_coverage.playback import load
from otel_coverage.playback.converting import Rules, convert
from otel_coverage.playback.proxy.bodies import RequestBody
from otel_coverage.playback.proxy.session import Session
from otel_coverage.playback.proxy.target import Target

TARGET = Target.parse("http://127.0.0.1:5000", ("www.shop.example",))
KINDS = (
    "",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "text/html; charset=nope",
    "text/plain",
    "application/octet-stream",
)
ODD = (
    "",
    "${run}",
    "$${x}",
    "order-77123",
    "..",
    "%zz",
    "//",
    "http://[",
    "é",
    "\\",
    '"',
    "csrf_token",
    "password",
    "x" * 300,
)

texts = st.lists(st.sampled_from(ODD) | st.text(max_size=3), max_size=4).map("".join)
headers = texts.map(lambda text: text.replace("\r", "").replace("\n", ""))
parts = st.lists(
    st.tuples(texts, texts | st.none(), st.binary(max_size=9)).map(
        lambda part: (
            (
                f'--b\r\nContent-Disposition: form-data; name="{part[0]}"'
                + ("" if part[1] is None else f'; filename="{part[1]}"')
                + "\r\n\r\n"
            ).encode("utf-8", "replace")
            + part[2]
            + b"\r\n"
        )
    ),
    max_size=3,
).map(lambda found: b"".join(found) + b"--b--\r\n")
documents = st.recursive(
    st.none() | st.integers() | texts | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())
bodies = st.one_of(st.binary(max_size=20), parts, documents, st.sampled_from((b"[" * 2000, b"[" * 200 + b"]" * 200)))
exchanges = st.fixed_dictionaries(
    {
        "method": st.sampled_from(("GET", "POST", "PUT", "HEAD", "OPTIONS", "PROPFIND")),
        "path": headers.map(lambda text: "/" + "".join(each for each in text if each > " " and each != "#")),
        "kind": st.sampled_from(KINDS),
        "cookie": headers,
        "token": headers,
        "body": st.none() | bodies,
        "status": st.sampled_from((0, 200, 200, 204, 302, 303, 307, 404, 500)),
        "answer_kind": st.sampled_from(KINDS),
        "location": st.none() | headers,
        "answer": bodies,
    }
)


@settings(derandomize=True)
@given(st.lists(exchanges, min_size=1, max_size=6))
def test_a_recording_is_made_and_can_be_loaded(given_exchanges: list[dict[str, object]]) -> None:
    session = Session(TARGET, lambda message: None, lambda passing: None)
    for each in given_exchanges:
        sent = [("Content-Type", str(each["kind"])), ("Cookie", str(each["cookie"])), ("X-Token", str(each["token"]))]
        passing = session.begin(str(each["method"]), f"{TARGET.origin}{each['path']}", sent)
        if isinstance(each["body"], bytes):
            passing.body = RequestBody(1000)
            passing.body.write(each["body"])
        if each["status"]:
            received = [("Content-Type", str(each["answer_kind"])), ("Set-Cookie", str(each["cookie"]))]
            if each["location"] is not None:
                received.append(("Location", str(each["location"])))
            session.answered(passing, int(str(each["status"])), received)
            assert passing.text is not None
            assert isinstance(each["answer"], bytes)
            passing.text.write(each["answer"])
        session.ended(passing)
    last = session.begin("GET", f"{TARGET.origin}/last", [])  # so that something is left
    session.answered(last, 200, [])
    session.ended(last)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "any")
        made = convert(session.source(), out, "any", Rules((TARGET.host, *TARGET.hosts)), fresh=["order-77123"])
        assert len(load(out).steps) == made.requests
