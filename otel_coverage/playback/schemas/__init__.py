"""JSON Schemas of what playback reads and writes: a line of ``recording.jsonl``, and ``result.json``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from otel_coverage.errors import ConfigurationError

FILES = {"recording.jsonl": "recording", "result.json": "result"}
"""The files that have a schema. That of a file of JSON Lines is of each of its lines."""


def schema(file: str) -> dict[str, Any]:
    """The JSON Schema of a file, whole: it refers to nothing outside of it.

    Raises:
        ConfigurationError: there is none.
    """
    if file not in FILES:
        raise ConfigurationError(f"no schema of {file!r}; expected {' or '.join(FILES)}")
    text = resources.files(__name__).joinpath(f"{FILES[file]}.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
