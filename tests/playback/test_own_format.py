"""Our own format of recordings, as it is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import Step, Upload, read
from tests.playback.conftest import Write


def test_a_recording_is_read_step_by_step(recording: Write) -> None:
    path = recording(
        {"method": "post", "path": "/orders", "json": {"tea": 1}, "status": 201, "capture": {"order": "/number"}},
        {"method": "GET", "path": "/orders/${order}", "headers": {"Accept": "text/html"}},
    )
    profile = read(path)
    assert profile.slug == "tour"
    assert profile.steps == (
        Step(2, "POST", "/orders", 201, {"tea": 1}, captures={"order": "/number"}),
        Step(3, "GET", "/orders/${order}", headers={"Accept": "text/html"}),
    )


def test_a_folder_stands_for_the_recording_in_it(recording: Write) -> None:
    path = recording({"method": "GET", "path": "/"})
    assert read(path.parent) == read(path)


def test_a_body_of_null_is_a_body(recording: Write) -> None:
    assert read(recording({"method": "PUT", "path": "/", "json": None})).steps[0].json is None


def test_files_are_found_beside_the_recording(recording: Write) -> None:
    path = recording({"method": "POST", "path": "/", "form": {"kind": "list"}, "files": {"list": "list.csv"}})
    (path.parent / "list.csv").write_text("a,b\n")
    step = read(path).steps[0]
    assert (step.form, step.uploads) == ({"kind": "list"}, (Upload("list", path.parent / "list.csv"),))


GET: dict[str, Any] = {"method": "GET", "path": "/"}


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ([{"path": "/"}], "line 2: 'method' is missing or no text"),
        ([{"method": "GET", "path": "orders"}], "line 2: path 'orders' does not begin with '/'"),
        ([GET, {**GET, "status": "200"}], "line 3: status '200' is none"),
        ([GET, {**GET, "jsn": 1}], "line 3: unknown: jsn"),
        ([{**GET, "json": 1, "form": {"a": "b"}}], "line 2: a request has either 'json' or 'form'"),
        ([{**GET, "files": {"f": "gone.csv"}}], "line 2: no file"),
        ([{**GET, "form": {"a": 1}}], "line 2: the values of 'form' are not all text"),
        ([{**GET, "capture": ["/a"]}], "line 2: 'capture' is no JSON object"),
        ([{**GET, "path": "/${order}"}], "line 2: ${order} is not captured by any request before"),
        ([{**GET, "json": [{"a": "${b}"}]}], "line 2: ${b} is not captured"),
        ([], "line 1: the recording holds no request"),
    ],
)
def test_what_cannot_be_played_is_named_with_its_line(
    recording: Write, steps: list[dict[str, Any]], complaint: str
) -> None:
    path = recording(*steps)
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    assert f"{path}: {complaint}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("slug", ["", "Tour", "a b", "tour; DROP TABLE otel_traces", "<b>tour</b>", "a" * 129])
def test_a_profile_is_named_by_a_slug_alone(tmp_path: Path, slug: str) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text(json.dumps({"recording": 1, "profile": slug}) + '\n{"method": "GET", "path": "/"}\n')
    with pytest.raises(ConfigurationError, match=r"line 1: .*(is no slug|missing)"):
        read(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not a recording: it is empty"),
        ("# Notes\n", "not JSON at line 1"),
        ('{"recording": 1, "profile": "a"}\n\n{"method": "GET"\n', "not JSON at line 3"),
        ('{"recording": 1, "profile": "a"}\n[]\n', "line 2 is no JSON object"),
        ('{"recording": 2, "profile": "a"}\n', "line 1: version 2 of the format is not known here"),
        ('{"log": {"version": "1.2"}}\n', "line 1: not a recording"),
        ("[" * 100_000, "not JSON at line 1"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    assert f"{path}: {complaint}" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b'{"recording": 1, "profile": "\xff"}\n')
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory; name a recording"):
        read(tmp_path / "gone.jsonl")


def test_a_folder_without_a_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no recording in this folder; looked for recording"):
        read(tmp_path)
