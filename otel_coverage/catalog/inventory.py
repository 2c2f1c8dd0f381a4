"""A catalog in a file: what ``catalog build`` writes, read back. One without a revision is an inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from otel_coverage.catalog.catalog import SCHEMA_VERSION, Catalog, CatalogError, CatalogFile, CatalogSymbol
from otel_coverage.errors import ConfigurationError
from otel_coverage.symbols import Symbol


def read_inventory(path: Path) -> Catalog:
    """The catalog in a file. Its symbols have no digests.

    Raises:
        ConfigurationError: it cannot be read, or is not a catalog.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["schema_version"]
        if version != SCHEMA_VERSION:
            raise ConfigurationError(
                f"{path}: schema_version is {version!r}, expected {SCHEMA_VERSION}; "
                "`otel-coverage catalog build --inventory --out FILE` writes it anew"
            )
        return _catalog(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cause = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise ConfigurationError(
            f"{path}: not a catalog ({cause}); `otel-coverage catalog build --inventory --out FILE` writes one"
        ) from error


def schema_text(name: str = "catalog") -> str:
    """The JSON Schema of such files, or of a ``check`` of one."""
    return resources.files("otel_coverage.catalog").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")


def _catalog(document: Mapping[str, Any]) -> Catalog:
    return Catalog(
        symbols=tuple(map(_symbol, document["symbols"])),
        files=tuple(
            CatalogFile(
                str(file["file"]),
                str(file["module"]),
                tuple(map(int, file["executable_lines"])),
                tuple(map(int, file["excluded_lines"])),
            )
            for file in document["files"]
        ),
        errors=tuple(
            CatalogError(str(error["file"]), int(error["line"]), str(error["message"])) for error in document["errors"]
        ),
    )


def _symbol(entry: Mapping[str, Any]) -> CatalogSymbol:
    if entry["kind"] not in ("function", "class"):
        raise ValueError(f"kind is {entry['kind']!r}, expected function or class")
    return CatalogSymbol(
        symbol=Symbol(str(entry["module"]), str(entry["qualname"]), int(entry["line"])),
        kind=entry["kind"],
        file=str(entry["file"]),
        end_line=int(entry["end_line"]),
        executable_lines=tuple(map(int, entry["executable_lines"])),
        parent=str(entry["parent"]),
        excluded=bool(entry["excluded"]),
        decorators=tuple(map(str, entry["decorators"])),
        summary=str(entry["summary"]),
    )
