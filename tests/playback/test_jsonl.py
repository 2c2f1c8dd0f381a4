"""The format ``recording.jsonl``, and what is not a playback recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import Step, Upload, load
from otel_coverage.playback.captures import Capture
from otel_coverage.playback.schemas import schema
from tests.playback.conftest import Write


def test_each_line_is_a_step(recording: Write) -> None:
    path = recording(
        {"method": "post", "path": "/orders", "json": {"tea": 1}, "status": 201, "capture": {"order": "/number"}},
        {"method": "GET", "path": "/orders/${order}", "headers": {"Accept": "text/html"}},
    )
    profile = load(path)
    assert profile.slug == "tour"
    assert profile.steps == (
        Step(2, "POST", "/orders", 201, json={"tea": 1}, captures={"order": Capture("/number")}),
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
        ([{**GET, "json": 1, "form": {"a": "b"}}], "line 2: a request has one body: 'json', or 'form'"),
        ([{**GET, "files": {"f": "gone.csv"}}], "line 2: no file"),
        ([{**GET, "form": {"a": 1}}], "line 2: every value of 'form' must be a string"),
        ([{**GET, "capture": ["/a"]}], "line 2: 'capture' must be a JSON object"),
        ([{**GET, "path": "/${order}"}], "line 2: ${order} is not captured by an earlier request"),
        ([{**GET, "json": [{"a": "${b}"}]}], "line 2: ${b} is not captured"),
        ([], "line 1: no request follows the header"),
        ([{**GET, "redirect": "orders"}], "line 2: redirect 'orders' must be a path that starts with '/'"),
        ([{**GET, "follow": 1}], "line 2: follow must be true or false, not 1"),
        ([{**GET, "think": -1}], "line 2: think must be seconds, at most a day, not -1"),
        ([{**GET, "body": 1}], 'line 2: body must be a text or {"file": path}, not 1'),
        ([{**GET, "body": "a", "form": {"b": "c"}}], "line 2: a request has one body"),
        ([{**GET, "body": {"file": "gone"}}], "line 2: no file"),
        ([{**GET, "files": {"f": 7}}], "line 2: the file of 'f' must be a path"),
        ([{**GET, "capture": {"a": {"css": "p"}}}], "line 2: capture 'a' must be a JSON pointer, or an object"),
        ([{**GET, "capture": {"a": {"regex": "("}}}], "line 2: capture 'a': '(' is not a regular expression"),
        ([{**GET, "capture": {"a": {"regex": "x", "field": "y"}}}], "line 2: capture 'a': regex can be combined"),
        ([{**GET, "capture": {"a": "b"}}], "line 2: capture 'a': the JSON pointer 'b' must start with '/'"),
        ([{**GET, "capture": {"run": "/b"}}], "line 2: 'run' is not a name to capture"),
        ([{**GET, "path": "/${a}", "capture": {"a": "/b"}}], "line 2: ${a} is not captured by an earlier request"),
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
        ('{"log": {"version": "1.2"}}\n', "a HAR file is converted first: `otel-coverage playback convert "),
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


def test_whatever_the_format_has_is_read_and_is_as_the_published_schema_says(recording: Write) -> None:
    (folder := recording(GET).parent).joinpath("a.csv").write_bytes(b"1")
    header = {
        "recording": 1,
        "profile": "tour",
        "about": "All of it.",
        "hosts": ["shop.example:8443"],
        "headers": {"Accept-Language": "de"},
        "cookies": {"session": "${env:SESSION}"},
    }
    files = {"a": "a.csv", "b": [{"path": "a.csv", "name": "b.csv", "type": "text/csv"}, None]}
    captures = {
        "id": {"header": "Location", "regex": "[0-9]+$"},
        "name": {"field": "name"},
        "no": "/a/0",
        "all": {"json": ""},
    }
    steps: list[dict[str, Any]] = [
        {
            "method": "POST",
            "path": "/a?b=${run}",
            "form": {"a": "${csrf}", "b": ["1", "2"]},
            "files": files,
            "about": "x",
        },
        {
            "method": "POST",
            "path": "/b",
            "status": 302,
            "redirect": "/b/*/${id}",
            "think": 1.5,
            "capture": captures,
        },
        {"method": "PUT", "path": "/${id}/${no}", "json": None, "timeout": 5, "follow": False},
        {
            "about": "x",
            "method": "POST",
            "path": "/c",
            "body": "<a>${cookie:seen-it}</a>",
            "capture": {"c": {"regex": "a(.)"}},
        },
        {"method": "POST", "path": "/d", "body": {"file": "a.csv"}, "headers": {"X-Key": "${env:KEY}"}},
        {"method": "POST", "path": "/e", "form": {"a": "b"}, "multipart": True},
    ]
    validator = Draft202012Validator(schema("recording.jsonl"))
    validator.check_schema(schema("recording.jsonl"))
    assert [[error.message for error in validator.iter_errors(line)] for line in (header, *steps)] == [[]] * 7
    (folder / "recording.jsonl").write_text("\n".join(map(json.dumps, [header, *steps])))
    profile = load(folder)
    assert profile.variables() == ("KEY", "SESSION")
    assert (profile.hosts, profile.headers) == (("shop.example:8443",), {"Accept-Language": "de"})
    assert [upload.name for upload in profile.steps[0].uploads] == [None, "b.csv", None]
    assert profile.steps[1].captures["id"] == Capture(header="Location", regex="[0-9]+$")
    assert (profile.steps[2].json, profile.steps[2].follow, profile.steps[2].timeout) == (None, False, 5.0)


@pytest.mark.parametrize(
    "line",
    [
        {"recording": 2, "profile": "a"},
        {"recording": 1, "profile": "a", "surplus": 1},
        {"method": "GET", "path": "orders"},
        {"method": "GET", "path": "/", "surplus": 1},
        {"method": "GET", "path": "/", "json": 1, "form": {}},
        {"method": "GET", "path": "/", "status": 600},
        {"method": "GET", "path": "/", "capture": {"run": "/a"}},
        {"method": "GET", "path": "/", "capture": {"a": {"field": "x", "regex": "y"}}},
    ],
)
def test_the_published_schema_refuses_what_is_refused_when_it_is_read(recording: Write, line: dict[str, Any]) -> None:
    assert list(Draft202012Validator(schema("recording.jsonl")).iter_errors(line)) != []
    path = recording(line)
    if "recording" in line:
        path.write_text(json.dumps(line) + "\n" + json.dumps(GET))
    with pytest.raises(ConfigurationError):
        load(path)


def test_the_schemas_of_what_playback_reads_and_writes_are_printed() -> None:
    for name in ("recording.jsonl", "result.json"):
        done = CliRunner().invoke(cli, ["playback", "run", "--schema", name])
        assert (done.exit_code, json.loads(done.stdout)) == (0, schema(name)), done.output
    wrong = CliRunner().invoke(cli, ["playback", "run", "--schema", "record.json"])
    assert str(wrong.exception) == "no schema of 'record.json'; expected recording.jsonl or result.json"
