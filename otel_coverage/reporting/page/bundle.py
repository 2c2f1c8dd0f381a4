"""The page's program and looks, as the build of `web/` leaves them in the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from otel_coverage.errors import ConfigurationError

FOLDER = Path(__file__).parent / "bundle"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the page runs.

    Attributes:
        script: JavaScript, one classic script.
        style: CSS.
        licenses: the licences of what the script contains.
    """

    script: str
    style: str
    licenses: str


def bundle(folder: Path = FOLDER) -> Bundle | None:
    """The bundle; None in a checkout that did not build it.

    Raises:
        ConfigurationError: a file of it is missing or cannot be read.
    """
    if not folder.is_dir():
        return None
    try:
        script, style, licenses = (
            (folder / name).read_text(encoding="utf-8") for name in ("page.js", "page.css", "licenses.txt")
        )
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}; install otel-coverage again") from error
    return Bundle(script, style, licenses)
