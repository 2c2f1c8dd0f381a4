"""The format ``recording.jsonl``, and what is not a playback recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import Step, Upload, load
from tests.playback.conftest import Write


def test_each_line_is_a_step(recording: Write) -> None:
    path = recording(
        {"method": "post", "path": "/orders", "json": {"tea": 1}, "status": 201, "capture": {"order": "/number"}},
        {"method": "GET", "path": "/orders/${order}", "headers": {"Accept": "text/html"}},
    )
    profile = load(path)
    assert profile.slug == "tour"
    assert profile.steps == (
        Step(2, "POST", "/orders", 201, {"tea": 1}, captures={"order": "/number"}),
        Step(3, "GET", "/orders/${order}", headers={"Accept": "text/html"}),
    )


def test_a_profiles_folder_can_be_named_instead_of_its_file(recording: Write) -> None:
    path = recording({"method": "GET", "path": "/"})
    assert load(path.parent) == load(path)


def test_null_is_a_json_body(recording: Write) -> None:
    assert load(recording({"method": "PUT", "path": "/", "json": None})).steps[0].json is None


def test_files_are_relative_to_the_recordings_folder(recording: Write) -> None:
    path = recording({"method": "POST", "path": "/", "form": {"kind": "list"}, "files": {"list": "list.csv"}})
    (path.parent / "list.csv").write_text("a,b\n")
    step = load(path).steps[0]
    assert (step.form, step.uploads) == ({"kind": "list"}, (Upload("list", path.parent / "list.csv"),))


GET: dict[str, Any] = {"method": "GET", "path": "/"}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"path": "/"}], "line 2: 'method' is missing"),
        ([{"method": "GET", "path": "orders"}], "line 2: path 'orders' must start with '/'"),
        ([GET, {**GET, "status": "200"}], "line 3: status must be an integer from 100 to 599, not '200'"),
        ([GET, {**GET, "jsn": 1}], "line 3: unknown keys: jsn; expected"),
        ([{**GET, "json": 1, "form": {"a": "b"}}], "line 2: 'json' cannot be combined with 'form'"),
        ([{**GET, "files": {"f": "gone.csv"}}], "line 2: no file"),
        ([{**GET, "form": {"a": 1}}], "line 2: every value of 'form' must be a string"),
        ([{**GET, "capture": ["/a"]}], "line 2: 'capture' must be a JSON object"),
        ([{**GET, "path": "/${order}"}], "line 2: ${order} is not captured by an earlier request"),
        ([{**GET, "json": [{"a": "${b}"}]}], "line 2: ${b} is not captured"),
        ([], "line 1: no request follows the header"),
    ],
)
def test_the_error_for_an_invalid_line_names_the_line(
    recording: Write, steps: list[dict[str, Any]], message: str
) -> None:
    path = recording(*steps)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert f"{path}: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("slug", ["", "Tour", "a b", "tour; DROP TABLE otel_traces", "<b>tour</b>", "a" * 129])
def test_a_profiles_name_must_be_a_slug(tmp_path: Path, slug: str) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text(json.dumps({"recording": 1, "profile": slug}) + '\n{"method": "GET", "path": "/"}\n')
    with pytest.raises(ConfigurationError, match=r"line 1: .*(is not a slug|must be a non-empty string)"):
        load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a playback recording: the file is empty"),
        ("# Notes\n", "line 1: not JSON"),
        ('{"recording": 1, "profile": "a"}\n\n{"method": "GET"\n', "line 3: not JSON"),
        ('{"recording": 1, "profile": "a"}\n[]\n', "line 2: not a JSON object"),
        ('{"recording": 2, "profile": "a"}\n', "line 1: version 2 of the format is not supported; expected 1"),
        ('{"log": {"version": "1.2"}}\n', "line 1: not a playback recording"),
        ("[" * 100_000, "line 1: not JSON"),
    ],
)
def test_a_file_that_is_not_a_playback_recording_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert f"{path}: {message}" in str(caught.value)


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b'{"recording": 1, "profile": "\xff"}\n')
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(path)


def test_the_error_for_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory; name a playback recording"):
        load(tmp_path / "gone.jsonl")


def test_the_error_for_a_folder_without_a_recording_lists_the_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no playback recording in this folder; looked for recording"):
        load(tmp_path)
