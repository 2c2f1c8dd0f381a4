"""What a store knows of one revision: who executes what, what runs at start, and whose coverage is in doubt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from otel_coverage.reporting.queries import RevisionQueries, doubts

Name = tuple[str, str]  # module and qualname
EntryPoint = tuple[str, str, str]  # service, kind and name

_STARTED = """
SELECT DISTINCT toString(service), toString(module), qualname
FROM coverage_startup
WHERE namespace = {namespace:String} AND revision = {revision:String}
"""
_SERVICES = """
SELECT DISTINCT toString(service)
FROM coverage_spans
WHERE namespace = {namespace:String} AND revision = {revision:String} AND role IN ('server', 'consumer')
"""


@dataclass(frozen=True)
class Recorded:
    """The coverage of a revision.

    Attributes:
        revision: which.
        profiles: all that were recorded, sorted.
        executed: the profiles that execute each function, or a line of it.
        at_start: the functions that ran when a process started.
        start_unknown: services of which no start was recorded, sorted.
        doubts: of a profile, why it may execute more than is known.
        damage: what is known to be missing of whichever profile: sentences.
        entry_points: the routes, jobs and commands that lead to each function.
        known: the functions of its catalog; empty where none was pushed.
    """

    revision: str
    profiles: tuple[str, ...] = ()
    executed: Mapping[Name, frozenset[str]] = field(default_factory=dict)
    at_start: frozenset[Name] = frozenset()
    start_unknown: tuple[str, ...] = ()
    doubts: Mapping[str, str] = field(default_factory=dict)
    damage: tuple[str, ...] = ()
    entry_points: Mapping[Name, frozenset[EntryPoint]] = field(default_factory=dict)
    known: frozenset[Name] = frozenset()

    @classmethod
    def read(cls, queries: RevisionQueries) -> Recorded:
        """Ask the store.

        Raises:
            StoreError: the engine refuses.
        """
        key = {"namespace": queries.namespace, "revision": queries.revision}
        started = queries.store.query(_STARTED, key).rows
        services = {str(name) for (name,) in queries.store.query(_SERVICES, key).rows}
        entry_points: defaultdict[Name, set[EntryPoint]] = defaultdict(set)
        for each in queries.reached:
            module, _, rest = each.symbol.partition(":")
            entry_points[module, rest.rpartition("@")[0]].add(each.entry_point)
        return cls(
            queries.revision,
            tuple(str(row["profile"]) for row in queries.profiles),
            _executed(queries),
            frozenset((str(module), str(qualname)) for _, module, qualname in started if qualname),
            tuple(sorted(services - {str(service) for service, _, _ in started})),
            {str(row["profile"]): why for row in queries.profiles if (why := doubts(row))},
            queries.damage,
            {name: frozenset(found) for name, found in entry_points.items()},
            frozenset((row["module"], row["qualname"]) for row in queries.catalog if row["kind"] == "function"),
        )


def _executed(queries: RevisionQueries) -> dict[Name, frozenset[str]]:
    found: defaultdict[Name, set[str]] = defaultdict(set)
    executed = queries.executed
    for row, numbers in zip(executed.rows, executed.by_symbol, strict=True):
        found[row["module"], row["qualname"]].update(executed.profiles[number] for number in numbers)
    # a lambda that outlives its function is executed without it
    owners: dict[str, dict[int, Name]] = {}
    for row in queries.catalog:
        if row["kind"] == "function":
            own = owners.setdefault(row["file"], {})
            own.update(dict.fromkeys(row["executable_lines"], (row["module"], row["qualname"])))
    for profile, file, firsts, lasts in queries.ask("executed-ranges").rows:
        for name in _names(owners.get(file, {}), zip(firsts, lasts, strict=True)):
            found[name].add(str(profile))
    return {name: frozenset(profiles) for name, profiles in found.items()}


def _names(owners: Mapping[int, Name], ranges: Iterable[tuple[int, int]]) -> set[Name]:
    """Whose lines are in ranges; a range may be any number of lines long."""
    found: set[Name] = set()
    for first, last in ranges:
        if last - first < len(owners):
            found.update(owners[line] for line in range(first, last + 1) if line in owners)
        else:
            found.update(name for line, name in owners.items() if first <= line <= last)
    return found
