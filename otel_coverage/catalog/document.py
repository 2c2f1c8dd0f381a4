"""The catalog as JSON: the shape of ``symbols.json``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from otel_coverage.catalog.catalog import Catalog, CatalogSymbol

SCHEMA_VERSION = 1


def catalog_document(catalog: Catalog, revision: str | None) -> dict[str, Any]:
    """The whole catalog as plain data."""
    return {
        "schema_version": SCHEMA_VERSION,
        "revision": revision,
        "symbols": symbol_records(catalog.symbols),
        "files": [
            {
                "file": file.path,
                "module": file.module,
                "executable_lines": list(file.executable_lines),
                "excluded_lines": list(file.excluded_lines),
            }
            for file in catalog.files
        ],
        "errors": [{"file": error.file, "line": error.line, "message": error.message} for error in catalog.errors],
    }


def symbol_records(symbols: Iterable[CatalogSymbol]) -> list[dict[str, Any]]:
    """Symbols as plain data, one record each."""
    return [
        {
            "id": symbol.id,
            "module": symbol.symbol.module,
            "qualname": symbol.symbol.qualname,
            "line": symbol.symbol.line,
            "kind": symbol.kind,
            "file": symbol.file,
            "end_line": symbol.end_line,
            "parent": symbol.parent,
            "excluded": symbol.excluded,
            "executable_lines": list(symbol.executable_lines),
        }
        for symbol in symbols
    ]
