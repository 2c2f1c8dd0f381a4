"""Writes a playback recording with the files that it uploads, as a whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import templates
from otel_coverage.playback.converting.beginning import Beginning
from otel_coverage.playback.converting.draft import Draft, File
from otel_coverage.playback.converting.exchange import Content
from otel_coverage.playback.files import json_line, write_whole

UPLOADS = "uploads"


def write(file: Path, header: dict[str, Any], drafts: Sequence[Draft], beginning: Beginning | None) -> None:
    """Write a recording.

    Args:
        file: where to; files that it uploads go beside it.
        header: of a new recording, without the headers that all of its requests have.
        drafts: its requests.
        beginning: what comes before them, of the recording that is there.

    Raises:
        ConfigurationError: it cannot be written; what was there is as it was.
    """
    if beginning is None:
        shared = _shared_headers(drafts)
        lines, taken = [header | ({"headers": shared} if shared else {})], dict[str, Content]()
    else:
        shared = beginning.header.get("headers", {})
        lines, taken = beginning.lines(header), beginning.files()
    contents: dict[str, Content] = {}
    for draft in drafts:
        draft.headers = {name: value for name, value in draft.headers.items() if shared.get(name) != value}
        paths, raw_path = {}, ""
        for number, each in enumerate(draft.files):
            if each.name is None:
                continue
            paths[number] = _free_path(each, taken)
            if each.content is not None:
                contents[paths[number]] = taken[paths[number]] = each.content
        if draft.raw is not None and draft.raw.content is not None:
            draft.raw.name = f"body-of-line-{len(lines) + 1}"
            raw_path = _free_path(draft.raw, taken)
            contents[raw_path] = taken[raw_path] = draft.raw.content
        lines.append(draft.line(paths, raw_path))
    _write_folder(file, contents, "".join(map(json_line, lines)))


def _write_folder(recording: Path, contents: Mapping[str, Content], text: str) -> None:
    """Write the files into a folder beside it first, so that nothing half written is left."""
    folder = recording.parent
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
            made = Path(beside, "new")
            made.mkdir(mode=0o700)
            for name, content in contents.items():
                path = made / name
                path.parent.mkdir(mode=0o700, exist_ok=True)
                path.write_bytes(content)
                os.chmod(path, 0o600)
            write_whole(made / recording.name, text)
            if folder.exists():
                for name in (*contents, recording.name):  # last what names the others
                    (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
                    os.replace(made / name, folder / name)
            else:
                os.rename(made, folder)
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror or error}; the recording was not written") from error


def _shared_headers(drafts: Sequence[Draft]) -> dict[str, str]:
    """Headers that all requests have alike, and that need nothing from an answer."""
    first = drafts[0].headers
    return {
        name: value
        for name, value in first.items()
        if len(drafts) > 1
        and name != "Content-Type"
        and all(draft.headers.get(name) == value for draft in drafts)
        and all(each == "run" or each.startswith(templates.ENV) for each in templates.names(value))
    }


def _free_path(file: File, taken: Mapping[str, Content]) -> str:
    """Where a file is put: below ``uploads``, under its own name; files that differ get names that do."""
    name = re.sub(r"[^\w.-]+", "_", Path(str(file.name).replace("\\", "/")).name).lstrip(".") or "file"
    stem, dot, ending = name.rpartition(".") if "." in name else (name, "", "")
    stem, ending = _shortened(stem, 150), dot + _shortened(ending, 50)
    number, path = 2, f"{UPLOADS}/{stem}{ending}"
    while path in taken and taken[path] != file.content:
        path = f"{UPLOADS}/{stem}-{number}{ending}"
        number += 1
    return path


def _shortened(text: str, most: int) -> str:
    """The beginning of a text, as far as so many bytes hold it; file systems have limits."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
