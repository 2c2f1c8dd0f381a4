"""JSON Schemas of a report's JSON files, one for each, and one for what most of them begin with."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import PurePath
from typing import Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.suggestions import suggestion

_ENDING = ".schema.json"
_HEADING = "heading"


def schema_names() -> tuple[str, ...]:
    """The files that have a schema: ``matrix.json`` and so on; ``report.json`` is each profile's."""
    names = (each.name.removesuffix(_ENDING) for each in resources.files(__name__).iterdir() if _ENDING in each.name)
    return tuple(sorted(f"{name}.json" for name in names if name != _HEADING))


def schema(file: str) -> dict[str, Any]:
    """The JSON Schema of a file, whole: it refers to nothing outside of it.

    Args:
        file: ``matrix.json``, or a path that ends so.

    Raises:
        ConfigurationError: a report has no such JSON file.
    """
    name = PurePath(file).name
    known = schema_names()
    if name not in known:
        raise ConfigurationError(f"no JSON file {file!r} in a report; {suggestion(name, known, len(known))}")
    return {**_read(name.removesuffix(".json")), "$defs": {_HEADING: _read(_HEADING)}}


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files(__name__).joinpath(f"{name}{_ENDING}").read_text("utf-8"))
    return found
