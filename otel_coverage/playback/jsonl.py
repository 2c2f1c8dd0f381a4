"""The format ``recording.jsonl``: a header, then a line for each request. Its JSON Schema is in ``schemas/``.

::

    {"recording": 1, "profile": "checkout", "about": "Buy tea.", "hosts": ["shop.example"]}
    {"method": "POST", "path": "/login", "form": {"csrf_token": "${csrf}", "password": "${env:PASSWORD}"}}
    {"method": "POST", "path": "/runs/${run}/orders", "json": {"tea": 1}, "capture": {"order": "/number"}}
    {"method": "GET", "path": "/runs/${run}/orders/${order}"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otel_coverage.playback import templates
from otel_coverage.playback.captures import Capture
from otel_coverage.playback.lines import Line
from otel_coverage.playback.profile import NO_BODY, Profile, Step, Upload

VERSION = 1

_HEADER = {"recording", "profile", "about", "hosts", "headers", "cookies"}
_STEP = {
    *("method", "path", "status", "redirect", "follow", "json", "form", "multipart", "files", "body", "headers"),
    *("capture", "think", "timeout", "about"),
}
_ALWAYS = {"run", "csrf"}


def profile(file: Path, lines: Sequence[Line]) -> Profile:
    """Parse the lines of a file.

    Raises:
        ConfigurationError: a line is invalid.
    """
    header = lines[0]
    _check_keys(header, _HEADER)
    if header["recording"] != VERSION:
        raise header.error(f"version {header['recording']!r} of the format is not supported; expected {VERSION}")
    slug = header.check_slug(header.string("profile"), "the profile's name")
    hosts = header.get("hosts", [])
    if not (isinstance(hosts, list) and all(isinstance(host, str) and host for host in hosts)):
        raise header.error(f"hosts must be a list of host names, not {hosts!r}")
    shared, cookies = _strings(header, "headers"), _strings(header, "cookies")
    known = set(_ALWAYS)
    _check_names(header, [shared, cookies], {"run"})
    steps = []
    for line in lines[1:]:
        step = _step(line)
        texts = [step.path, step.json, step.form, step.headers, step.redirect or ""]
        own = step.captures.keys()
        _check_names(line, [*texts, step.body if isinstance(step.body, str) else ""], known | set(own), own)
        known |= own
        steps.append(step)
    if not steps:
        raise header.error("no request follows the header")
    return Profile(slug, file, tuple(steps), hosts=tuple(hosts), headers=shared, cookies=cookies)


def _check_names(line: Line, texts: list[Any], known: set[str], own: Any = ()) -> None:
    for number, text in enumerate(texts):
        for name in templates.names(text):
            is_redirect = number == 4  # its values may come from this very answer
            if ":" not in name and (name not in known or (name in own and not is_redirect)):
                raise line.error(f"${{{name}}} is not captured by an earlier request")


def _step(line: Line) -> Step:
    _check_keys(line, _STEP)
    path, status = line.string("path"), line.get("status")
    if not path.startswith("/"):
        raise line.error(f"path {path!r} must start with '/'")
    if status is not None and not (isinstance(status, int) and 100 <= status <= 599):
        raise line.error(f"status must be an integer from 100 to 599, not {status!r}")
    redirect = line.string("redirect") if "redirect" in line else None
    if redirect is not None and (not redirect.startswith("/") or "?" in redirect):
        raise line.error(f"redirect {redirect!r} must be a path that starts with '/', without a query")
    uploads = tuple(_uploads(line))
    form = _form(line)
    body = _body(line)
    if ("json" in line) + bool({"form", "files"} & line.keys()) + (body is not None) > 1:
        raise line.error("a request has one body: 'json', or 'form' with 'files', or 'body'")
    return Step(
        line=line.number,
        method=line.string("method").upper(),
        path=path,
        status=status,
        redirect=redirect,
        follow=_flag(line, "follow", default=True),
        json=line.get("json", NO_BODY),
        form=form,
        multipart=_flag(line, "multipart", default=False),
        uploads=uploads,
        body=body,
        headers=_strings(line, "headers"),
        captures={name: _capture(line, name, value) for name, value in line.object("capture").items()},
        think=_seconds(line, "think") or 0.0,
        timeout=_seconds(line, "timeout"),
    )


def _uploads(line: Line) -> list[Upload]:
    found = []
    for field, value in line.object("files").items():
        for each in value if isinstance(value, list) else [value]:
            if each is None:
                found.append(Upload(field, None))
            elif isinstance(each, str):
                found.append(Upload(field, _file(line, each, f"to upload as {field!r}")))
            elif isinstance(each, dict) and _is_upload(each):
                path = _file(line, each["path"], f"to upload as {field!r}")
                found.append(Upload(field, path, each.get("name"), each.get("type")))
            else:
                raise line.error(
                    f'the file of {field!r} must be a path, {{"path": …, "name": …, "type": …}} or null, not {each!r}'
                )
    return found


def _is_upload(value: Mapping[str, Any]) -> bool:
    return {"path"} <= value.keys() <= {"path", "name", "type"} and all(
        isinstance(each, str) for each in value.values()
    )


def _file(line: Line, name: str, purpose: str) -> Path:
    path = line.path.parent / name
    if not path.is_file():
        raise line.error(f"no file {path} {purpose}")
    return path


def _form(line: Line) -> dict[str, str | list[str]]:
    values = line.object("form")
    for value in values.values():
        if not all(isinstance(each, str) for each in (value if isinstance(value, list) else [value])):
            raise line.error(f"every value of 'form' must be a string or a list of strings, not {value!r}")
    return values


def _body(line: Line) -> str | Path | None:
    value = line.get("body")
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() == {"file"} and isinstance(value["file"], str):
        return _file(line, value["file"], "to send as the body")
    raise line.error(f'body must be a text or {{"file": path}}, not {value!r}')


def _capture(line: Line, name: str, value: Any) -> Capture:
    if not re.fullmatch(r"\w+", name) or name in _ALWAYS:
        raise line.error(f"{name!r} is not a name to capture; use letters, digits and '_', and neither run nor csrf")
    if isinstance(value, str):
        value = {"json": value}
    kinds = {"json", "field", "header", "regex"}
    if not (isinstance(value, dict) and value and value.keys() <= kinds):
        raise line.error(f"capture {name!r} must be a JSON pointer, or an object with json, field, header or regex")
    if not all(isinstance(each, str) for each in value.values()) or len(value.keys() - {"regex"}) > 1:
        raise line.error(f"capture {name!r} must say in one string each where the value is, not {value!r}")
    if "regex" in value and not value.keys() <= {"regex", "header"}:
        raise line.error(f"capture {name!r}: regex can be combined with header alone")
    pointer = value.get("json")
    if pointer and not pointer.startswith("/"):
        raise line.error(f"capture {name!r}: the JSON pointer {pointer!r} must start with '/'")
    try:
        re.compile(value.get("regex", ""))
    except re.error as error:
        raise line.error(f"capture {name!r}: {value['regex']!r} is not a regular expression: {error}") from error
    return Capture(**value)


def _flag(line: Line, name: str, *, default: bool) -> bool:
    value = line.get(name, default)
    if not isinstance(value, bool):
        raise line.error(f"{name} must be true or false, not {value!r}")
    return value


def _seconds(line: Line, name: str) -> float | None:
    value = line.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise line.error(f"{name} must be seconds, at most a day, not {value!r}")
    return float(value)


def _strings(line: Line, name: str) -> dict[str, str]:
    values = line.object(name)
    if not all(isinstance(value, str) for value in values.values()):
        raise line.error(f"every value of {name!r} must be a string")
    return values


def _check_keys(line: Line, known: set[str]) -> None:
    unknown = sorted(line.keys() - known)
    if unknown:
        raise line.error(f"unknown keys: {', '.join(unknown)}; expected {', '.join(sorted(known))}")
