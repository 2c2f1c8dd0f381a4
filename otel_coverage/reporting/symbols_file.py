"""``symbols.json`` in the place of a source tree, where the source is not on this machine."""

from __future__ import annotations

import json
from pathlib import Path

from otel_coverage.errors import ConfigurationError


def files_of(symbols: Path) -> dict[str, str]:
    """The source's files, by their paths as in the store; data files then name these paths, relative to the source.

    Args:
        symbols: a catalog, as ``otel-coverage catalog build`` or a report writes it.

    Raises:
        ConfigurationError: it is not one, or is empty.
    """
    try:
        document = json.loads(symbols.read_text(encoding="utf-8"))
        entries = [*document["symbols"], *document.get("files", ())]
        paths = {str(entry["file"]) for entry in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"--symbols {symbols}: not a catalog ({type(error).__name__}: {error}); "
            "`otel-coverage catalog build --out FILE` writes one"
        ) from error
    if not paths:
        raise ConfigurationError(f"--symbols {symbols}: a catalog without files")
    return {path: path for path in sorted(paths)}
