"""The modules whose import has OpenTelemetry start in a process: what its instrumentations, and ours, instrument."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from pathlib import PurePosixPath

_UNFOLLOWED = frozenset({"aiohttp.web", "sanic", "tornado.httpserver", "twisted.web.server"})  # it is said of them
_SERVERS = frozenset({"daphne", "granian", "hypercorn", "uvicorn", "waitress"})  # gunicorn's would begin in its master
_OF_OTHERS = frozenset({"bottle", "django", "falcon", "pyramid"})  # recorded where the server is followed
_OURS = frozenset({"flask", "opentelemetry", "quart", "rq", "starlette"}) | _SERVERS | _OF_OTHERS | _UNFOLLOWED
_OF_THE_STANDARD_LIBRARY: dict[str, frozenset[str]] = {
    "otel_coverage": _OURS,
    "threading": frozenset(),  # carries contexts into threads: who has one has imported opentelemetry
    "sqlite3": frozenset({"sqlite3"}),
    "urllib": frozenset({"urllib.request"}),
}
_REQUIREMENT = re.compile(r"\s*([\w.-]+).*\bextra\s*==\s*['\"]instruments(-any)?['\"]")


def triggers() -> dict[str, frozenset[str]]:
    """What each instrumentor, by the name of its entry point, waits for.

    Nothing where something is installed of which only its own code knows when it is needed.
    """
    if any(entry_points(group=f"opentelemetry_{when}_instrument") for when in ("pre", "post")):
        return {}
    disabled = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    found = {"otel_coverage": _OURS}
    for instrumentor in entry_points(group="opentelemetry_instrumentor"):
        if instrumentor.name in disabled:
            continue
        if instrumentor.name in _OF_THE_STANDARD_LIBRARY:
            found[instrumentor.name] = _OF_THE_STANDARD_LIBRARY[instrumentor.name]
            continue
        libraries = list(_libraries(instrumentor))
        if not libraries:
            return {}
        found[instrumentor.name] = frozenset(module for library in libraries for module in _modules(library))
    return found


def _libraries(instrumentor: EntryPoint) -> Iterator[str]:
    """The packages that it says it instruments."""
    for requirement in (instrumentor.dist.requires if instrumentor.dist is not None else None) or ():
        matched = _REQUIREMENT.match(requirement)
        if matched is not None:
            yield matched[1]


def _modules(package: str) -> Iterator[str]:
    """The top-level modules that a package installed; none where it is not installed.

    ``importlib.metadata.packages_distributions()`` lists all packages, and looks at each of their files for it.
    """
    try:
        installed = distribution(package)
    except PackageNotFoundError:
        return
    named = installed.read_text("top_level.txt")
    if named is not None:
        yield from named.split()
        return
    record = installed.read_text("RECORD")
    files = (row[0] for row in csv.reader(record.splitlines()) if row) if record else installed.files or ()
    for top, *below in {PurePosixPath(file).parts[:2] for file in files}:
        name = top if below else top.partition(".")[0]
        if name.isidentifier():
            yield name
