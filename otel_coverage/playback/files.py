"""Files that are written as a whole, or not at all; they are the user's own (0600)."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from otel_coverage.errors import ConfigurationError


def check_writable(path: Path) -> None:
    """Check, before long work, that a file can be written.

    Raises:
        ConfigurationError: its folder is missing, or cannot be written to.
    """
    folder = path.resolve().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigurationError(f"{path}: cannot be written; name a file in a folder that can be written to")


def json_line(value: Any) -> str:
    """A line of a file of JSON Lines, which is UTF-8: half of a surrogate pair is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return (text if _is_unicode(text) else json.dumps(value)) + "\n"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document; see :func:`write_whole`."""
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}.")
        try:
            with open(handle, "w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
                file.write(text)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}; it was not written") from error
