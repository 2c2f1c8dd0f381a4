"""Names that a user gives for what a store holds: checked, and for revisions resolved as git does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from otel_coverage.errors import ConfigurationError
from otel_coverage.revision import commit_of
from otel_coverage.suggestions import suggestion

if TYPE_CHECKING:
    from otel_coverage.store.named_queries import Value
    from otel_coverage.store.store import Store

_SHORT_SHA = re.compile(r"[0-9a-f]{4,40}")  # four is git's own limit

_REVISIONS = """
SELECT name
FROM (
    SELECT toString(revision) AS name, r.last_seen AS seen FROM coverage_runs AS r
    WHERE namespace = {namespace:String} AND (recorded OR covered)
    UNION ALL
    SELECT toString(revision), max(pushed_at) FROM code_symbols WHERE namespace = {namespace:String} GROUP BY revision
)
GROUP BY name
ORDER BY max(seen) DESC, name
"""
_MODULES = """
SELECT DISTINCT name
FROM (
    SELECT DISTINCT toString(module) AS name FROM coverage_functions WHERE namespace = {namespace:String}
    UNION ALL
    SELECT DISTINCT toString(module) FROM code_symbols WHERE namespace = {namespace:String}
)
ORDER BY name
"""
_NAMESPACES = """
SELECT DISTINCT name
FROM (
    SELECT DISTINCT toString(namespace) AS name FROM coverage_runs
    UNION ALL
    SELECT DISTINCT toString(namespace) FROM code_symbols
)
ORDER BY name
"""
_KNOWN = {  # by the parameter of a named query: what it names, and the names that there are
    "namespace": ("namespace", _NAMESPACES),
    "revision": ("revision", _REVISIONS),
    "base": ("revision", _REVISIONS),
    "profile": ("profile", "SELECT DISTINCT toString(profile) AS name FROM coverage_runs ORDER BY name"),
    "profiles": ("profile", "SELECT DISTINCT toString(profile) AS name FROM coverage_runs ORDER BY name"),
    "runs": ("run", "SELECT DISTINCT run FROM coverage_runs ORDER BY run"),
    "services": ("service", "SELECT DISTINCT toString(service) AS name FROM coverage_spans ORDER BY name"),
    "module": ("module", _MODULES),
}


def checked(store: Store, values: Mapping[str, Value]) -> dict[str, Value]:
    """The values of a query's parameters, each revision as the store has it.

    Raises:
        ConfigurationError: the store has nothing of a name.
    """
    found = dict(values)
    namespace = {"namespace": values.get("namespace", "")}
    for parameter, (what, sql) in _KNOWN.items():
        given = values.get(parameter)
        if not given:
            continue
        known = list(dict.fromkeys(str(name) for (name,) in store.query(sql, namespace).rows))
        if isinstance(given, str) and what == "revision":
            found[parameter] = known_revision(given, known, str(store.dsn))
            continue
        for name in [given] if isinstance(given, str) else given:
            if name not in known:
                raise ConfigurationError(f"{store.dsn}: no {what} {name!r}; {suggestion(name, known)}")
    return found


def known_revision(name: str, known: Iterable[str], where: str, folder: Path = Path()) -> str:
    """The known revision that a name means: itself, the one whose SHA it begins, or the commit that git takes it for.

    Args:
        name: a revision, the beginning of a SHA, or a name of git's: ``HEAD``, a tag, a branch.
        known: the revisions to choose from.
        where: what has them, for the error.
        folder: where to ask git.

    Raises:
        ConfigurationError: none is meant, or several are.
    """
    names = list(known)
    if name in names:
        return name
    begun = [each for each in names if each.startswith(name)] if _SHORT_SHA.fullmatch(name) else []
    clean = [each for each in begun if "+" not in each]  # without local changes
    for candidates in (begun, clean):
        if len(candidates) == 1:
            return candidates[0]
    if begun:
        raise ConfigurationError(f"{where}: revision {name!r} is ambiguous; {suggestion(name, begun)}")
    commit = commit_of(name, folder)
    if commit is not None and commit in names:
        return commit
    meant = f", which git says is {commit}" if commit is not None and commit != name else ""
    raise ConfigurationError(f"{where}: no coverage of revision {name!r}{meant}; {suggestion(commit or name, names)}")
