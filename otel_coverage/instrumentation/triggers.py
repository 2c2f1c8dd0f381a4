"""The modules whose import has OpenTelemetry start in a process: what its instrumentations, and ours, instrument."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points, packages_distributions

_OURS = frozenset({"flask", "opentelemetry", "rq"})
_OF_THE_STANDARD_LIBRARY = {
    "otel_coverage": (),
    "threading": (),  # carries contexts into threads: who has one has imported opentelemetry
    "sqlite3": ("sqlite3",),
    "urllib": ("urllib.request",),
}
_REQUIREMENT = re.compile(r"\s*([\w.-]+).*\bextra\s*==\s*['\"]instruments(-any)?['\"]")


def triggers() -> frozenset[str]:
    """What to wait for; nothing where something is installed of which only its own code knows when it is needed."""
    if any(entry_points(group=f"opentelemetry_{when}_instrument") for when in ("pre", "post")):
        return frozenset()
    disabled = {name.strip() for name in os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")}
    modules = _modules_by_distribution()
    found: set[str] = set()
    for instrumentor in entry_points(group="opentelemetry_instrumentor"):
        if instrumentor.name in disabled:
            continue
        if instrumentor.name in _OF_THE_STANDARD_LIBRARY:
            found.update(_OF_THE_STANDARD_LIBRARY[instrumentor.name])
            continue
        libraries = list(_libraries(instrumentor))
        if not libraries:
            return frozenset()
        found.update(module for library in libraries for module in modules.get(library, ()))
    return _OURS | found


def _libraries(instrumentor: EntryPoint) -> Iterator[str]:
    """The packages that it says it instruments."""
    for requirement in (instrumentor.dist.requires if instrumentor.dist is not None else None) or ():
        matched = _REQUIREMENT.match(requirement)
        if matched is not None:
            yield _normalized(matched[1])


def _modules_by_distribution() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            found.setdefault(_normalized(distribution), set()).add(module)
    return found


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
