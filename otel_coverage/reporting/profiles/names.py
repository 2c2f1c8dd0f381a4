"""What the files of a profile are called: inside of the report's folder, and no two alike, whatever its name is."""

from __future__ import annotations

import hashlib
import re

from otel_coverage.slug import is_slug

COMBINED = "all"
"""Stands for all profiles together."""

HTML = "html"
"""The folder of coverage.py's pages, of a profile or of all."""

REPORT = "report.json"

EXPORTS = {"lcov": "coverage.lcov", "xml": "coverage.xml", "markdown": "coverage.md"}
"""The files that coverage.py's other reporters write, by format."""

_DATA_FILE = ".coverage"
_LONGEST = 128  # characters, of the 255 bytes that file systems take
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
# the report's own names, and those that Windows keeps for devices
_TAKEN = re.compile(
    rf"({COMBINED}|{HTML}|con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*\.(coverage|json|csv|parquet|md|html|js|css|lcov|xml)|.*\."
)


def folder_name(profile: str) -> str:
    """The name of a profile's folder: its own where that can be one, else one that begins with ``_``, as no slug does.

    Names differ wherever those of the profiles do, also where case does not count.
    """
    if is_slug(profile) and not _TAKEN.fullmatch(profile):
        return profile
    content = profile.encode("utf-8", "surrogatepass")
    name = "_" + "".join(chr(byte) if chr(byte) in _PLAIN else f"~{byte:02x}" for byte in content)
    return name if len(name) <= _LONGEST else f"{name[:96]}~~{hashlib.sha256(content).hexdigest()[:24]}"


def data_file_name(profile: str) -> str:
    """The name of a profile's data file of coverage.py."""
    return folder_name(profile) + _DATA_FILE


COMBINED_DATA_FILE = COMBINED + _DATA_FILE
