"""What the store says of one revision: the named queries, asked about its services, runs and profiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_coverage.errors import AccessDeniedError, ConfigurationError, NoCoverageError
from otel_coverage.reporting.arrow import ask as ask_columns
from otel_coverage.reporting.arrow import release
from otel_coverage.reporting.executed import ExecutedFunctions, ReachedFunction, reached_functions
from otel_coverage.reporting.executed_lines import executed_lines
from otel_coverage.reporting.lost_runs import lost_runs, quoted
from otel_coverage.reporting.redundancy import redundancy
from otel_coverage.reporting.selection import Selection, select
from otel_coverage.store.folding import unfolded
from otel_coverage.store.known_names import known_revision
from otel_coverage.store.named_queries import NamedQuery, Value, named_query
from otel_coverage.store.narrowing import narrowed
from otel_coverage.store.parts import detached_parts
from otel_coverage.store.stored_spans import damaged_records_since, short_profiles
from otel_coverage.suggestions import suggestion

if TYPE_CHECKING:
    import pyarrow

    from otel_coverage.store import Result, Store

Row = Mapping[str, Any]

_WITHOUT_RUN_ID = ("window", "gap")  # the evidence of a run whose requests carry no run id

_PRESENT = """
SELECT groupUniqArray(run) AS run, groupUniqArray(toString(profile)) AS profile
FROM coverage_runs
WHERE namespace = {namespace:String} AND revision = {revision:String} AND (recorded OR covered)
"""
_STARTUP = """
SELECT count() > 0 FROM coverage_startup WHERE namespace = {namespace:String} AND revision = {revision:String}
"""
# figures of modules that all of them have together
_ADDED = ("functions_covered", "functions_total", "lines_covered", "lines_total", "functions_at_startup")

_OUTSIDE_WINDOW = """
SELECT DISTINCT toString(profile) AS name
FROM doubtful_runs
WHERE namespace = {namespace:String} AND revision = {revision:String} AND reason = 'outside_window'
ORDER BY name
"""


@dataclass(frozen=True)
class RevisionQueries:
    """Asks named queries about one revision.

    What is read more than once, and small, is kept: it can still be read when the store is closed.

    Attributes:
        store: an open store.
        revision: the revision.
        namespace: the services that share one source tree.
        services: those whose coverage counts.
        newest_span: start of the newest span of the revision, of any service, in the runs and of the profiles selected.
        run_count: how many runs the figures are of.
        narrowed: whether the revision has other services than these.
        selection: the runs and profiles whose coverage counts.
        expected: profiles that should have been played.
    """

    store: Store
    revision: str
    namespace: str
    services: tuple[str, ...]
    newest_span: datetime
    run_count: int
    narrowed: bool
    selection: Selection
    expected: tuple[str, ...] = ()

    def ask(self, name: str) -> Result:
        """The rows of a named query, about the chosen services, runs and profiles where it can be asked so.

        Raises:
            StoreError: the engine refuses.
        """
        query = named_query(name)
        chosen: dict[str, Value] = {"namespace": self.namespace, "revision": self.revision, **self.selection.parameters}
        if self.narrowed:
            chosen["services"] = self.services
        release()
        return _answer(self.store, query, query.known(chosen))

    def columns(self, sql: str, schema: pyarrow.Schema, **parameters: object) -> pyarrow.Table:
        """The rows of a statement about the chosen services, runs and profiles, as columns of these types.

        Raises:
            StoreError: the engine refuses.
        """
        chosen = {**self.selection.parameters, **({"services": list(self.services)} if self.narrowed else {})}
        values = {"namespace": self.namespace, "revision": self.revision, **chosen, **parameters}
        return ask_columns(self.store, narrowed(sql, chosen, self.store.database), values, schema)

    def of_revisions(self, sql: str, revisions: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of a statement about a revision, of several at once.

        Raises:
            StoreError: the engine refuses.
        """
        several = sql.replace("revision = {revision:String}", "revision IN {revisions:Array(String)}")
        chosen = {**self.selection.parameters, **({"services": list(self.services)} if self.narrowed else {})}
        values = {"namespace": self.namespace, "revisions": list(revisions), **chosen}
        release()
        return self.store.query(narrowed(several, chosen, self.store.database), values).records()

    @cached_property
    def revisions(self) -> list[dict[str, Any]]:
        """This revision and those that were traced last before it, the newest first, of the selected profiles alone."""
        chosen = {"profiles": list(self.selection.profiles)} if self.selection.profiles else {}
        rows = _ask(self.store, "revisions", namespace=self.namespace, **chosen)
        return rows[[row["revision"] for row in rows].index(self.revision) :]

    @cached_property
    def leaderboard(self) -> list[dict[str, Any]]:
        """The profiles, ranked."""
        return self.ask("leaderboard").records()

    @cached_property
    def profiles(self) -> list[dict[str, Any]]:
        """The same, sorted by name."""
        return sorted(self.leaderboard, key=lambda row: str(row["profile"]))

    @cached_property
    def modules(self) -> list[dict[str, Any]]:
        """The modules of the catalog, those with the most functions that no profile executed first."""
        return self.ask("modules").records()

    @cached_property
    def totals(self) -> dict[str, Any]:
        """What all profiles execute together: the row of the named query ``totals``, of what is known already."""
        added = {name: sum(row[name] or 0 for row in self.modules) for name in _ADDED}
        return {
            **added,
            "percent": _percent(added["functions_covered"], added["functions_total"]),
            "lines_percent": _percent(added["lines_covered"], added["lines_total"]),
            "functions": len(self.executed.table),
            "startup_recorded": self._has_startup,
        }

    @cached_property
    def _has_startup(self) -> bool:
        """Whether any start of a process was recorded."""
        chosen = {"services": list(self.services)} if self.narrowed else {}
        values = {"namespace": self.namespace, "revision": self.revision, **chosen}
        return bool(self.store.query(narrowed(_STARTUP, chosen, self.store.database), values).rows[0][0])

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """Each profile in each run, the oldest first."""
        return self.ask("runs").records()

    @cached_property
    def executed(self) -> ExecutedFunctions:
        """Which profiles execute each function."""
        return ExecutedFunctions.read(self.columns, self._names)

    @property
    def executed_lines(self) -> Iterator[tuple[str, list[int], list[int]]]:
        """Each file with lines that the same profiles execute, and the numbers of these; asked for each time."""
        pairs = sum(row["lines"] or 0 for row in self.leaderboard)
        return executed_lines(self.columns, self._names, pairs)

    @cached_property
    def reached(self) -> list[ReachedFunction]:
        """Which entry points lead to each function."""
        return reached_functions(self.columns, self.executed)

    @cached_property
    def redundancy(self) -> list[dict[str, Any]]:
        """The profiles, those that add the least first."""
        return redundancy(self.executed, [row["profile"] for row in self.profiles if doubts(row)])

    @cached_property
    def catalog(self) -> list[dict[str, Any]]:
        """All symbols of the source, by module and line."""
        return self.ask("catalog").records()

    @cached_property
    def gaps(self) -> list[dict[str, Any]]:
        """What no profile executed: the rows of the named query ``gaps``, of symbols that are known already."""
        found = [row for row in self.catalog if row["is_gap"]]
        recorded = self.totals["startup_recorded"]
        return [
            {
                **row,
                "executable_lines": len(row["executable_lines"]),
                "at_startup": row["at_startup"] if recorded else None,
                "certain": self.complete,
            }
            for row in sorted(found, key=lambda row: _package(row["module"]))  # the catalog comes by module and line
        ]

    @cached_property
    def entry_points(self) -> list[dict[str, Any]]:
        """The routes, jobs and commands that were asked for."""
        return self.ask("entry-points").records()

    @cached_property
    def profile_entry_points(self) -> list[dict[str, Any]]:
        """The same for each profile: how often it came there, and how long that took."""
        return self.ask("profile-entry-points").records()

    @cached_property
    def entry_point_gaps(self) -> list[dict[str, Any]]:
        """The routes and jobs that no profile reached."""
        return self.ask("entry-point-gaps").records()

    @cached_property
    def url_maps(self) -> list[str]:
        """The services that reported their URL map, sorted."""
        return sorted({row["service"] for row in self.ask("routes").records() if row["kind"] == "request"})

    @property
    def _names(self) -> list[str]:
        return [str(row["profile"]) for row in self.profiles]

    @cached_property
    def branches(self) -> dict[str, bool]:
        """The profiles that were recorded with branches, and whether all of their lines were."""
        return {row["profile"]: row["whole"] for row in self.ask("branches").records()}

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What was played, or should have been, and is in no figure: sentences."""
        played = {row["profile"] for row in self.leaderboard}
        absent = [profile for profile in self.expected if profile not in played]
        return (
            *self.damage,
            *([f"Expected, and not played at this revision: {quoted(absent)}."] if absent else []),
        )

    @cached_property
    def damage(self) -> tuple[str, ...]:
        """What was played and is in no figure, of whichever profile: sentences."""
        lost = lost_runs(
            self.store, {"namespace": self.namespace, "revision": self.revision, **self.selection.parameters}
        )
        return (*([] if lost is None else [f"{lost}. What is shown was recorded before."]), *self.table_damage)

    @cached_property
    def table_damage(self) -> tuple[str, ...]:
        """What the tables themselves lack: sentences."""
        return tuple(self.damage_beside(short_profiles(self.store, self.namespace, [self.revision])[self.revision]))

    def damage_beside(self, short: Sequence[str]) -> Iterator[str]:
        """What the tables lack, of which those profiles are known that :func:`short_profiles` finds."""
        with suppress(AccessDeniedError):  # a reader may lack the right to look
            for part in detached_parts(self.store):
                yield f"{part}."
        with suppress(AccessDeniedError):
            waiting = self._selected(unfolded(self.store, self.namespace, self.revision))
            if waiting:
                yield (
                    f"Requests without a run id of these profiles are not all in their runs yet: {quoted(waiting)}; "
                    "`otel-coverage store fold`, by a user who may insert, puts them into runs."
                )
        for detail in damaged_records_since(self.store, self.namespace, self.revision):
            yield f"The collector's log, {detail}: of which runs they were is not known."
        found = self._selected(short)
        if found:
            yield (
                f"The tables hold fewer functions than single requests of these profiles executed: {quoted(found)}; "
                "`otel-coverage schema apply --backfill` derives them from the spans, as far as these are kept."
            )

    def _selected(self, profiles: Sequence[str]) -> list[str]:
        """Those of some profiles that the report is about."""
        return [name for name in profiles if not self.selection.profiles or name in self.selection.profiles]

    @cached_property
    def absent(self) -> list[dict[str, Any]]:
        """Profiles that the newest run did not play, though the one before did."""
        return self.ask("absent-profiles").records()

    @cached_property
    def outside_window(self) -> list[str]:
        """Profiles with requests that began just outside of the window of a run that counts."""
        sql = narrowed(_OUTSIDE_WINDOW, self.selection.parameters, self.store.database)
        values = {"namespace": self.namespace, "revision": self.revision, **self.selection.parameters}
        return [str(profile) for (profile,) in self.store.query(sql, values).rows]

    @cached_property
    def header_only(self) -> list[str]:
        """Profiles of which a run that counts is known by a window or a gap in time alone: its client named none."""
        return sorted(
            {str(row["profile"]) for row in self.runs if row["counted"] and row["evidence"] in _WITHOUT_RUN_ID}
        )

    @property
    def has_catalog(self) -> bool:
        """Whether a catalog was pushed for the revision; without one nothing is known about gaps and shares."""
        return bool(self.modules)

    @property
    def complete(self) -> bool:
        """Whether no run that counts failed and no coverage is known to be missing."""
        return not self.problems and not any(map(doubts, self.leaderboard))


def select_revision(
    store: Store,
    *,
    revision: str | None = None,
    namespace: str = "",
    services: Sequence[str] = (),
    expected: Sequence[str] = (),
    runs: Sequence[str] = (),
    since: str = "",
    profiles: Sequence[str] = (),
    folder: Path = Path(),
) -> RevisionQueries:
    """The queries about a revision that has coverage.

    Args:
        store: an open store.
        revision: None for the newest that has coverage; else its name, the beginning of it, or a name of git's.
        namespace: the services that share one source tree.
        services: the services whose coverage counts; empty for all.
        runs: the runs whose coverage counts, by id or pattern; empty for all.
        since: only runs that began then or later; empty for all.
        profiles: the profiles whose coverage counts, by name or pattern; empty for all.
        expected: profiles that should have been played.
        folder: where git is asked about the revision.

    Raises:
        ConfigurationError: `since` is not a time, or the store has no coverage of that revision.
        NoCoverageError: the store has no coverage of that service, run or profile.
    """
    every = {row["revision"]: row for row in _ask(store, "revisions", namespace=namespace)}
    if not every:
        lost = _beside(store, namespace, "")
        raise NoCoverageError(f"{store.dsn}: no coverage{_in(namespace)}; {_other_namespaces(store)}{lost}")
    if revision is not None:
        try:
            revision = known_revision(revision, every, f"{store.dsn}{_in(namespace)}", folder)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}{_beside(store, namespace, next(iter(every)))}") from error
    selection = select(store, runs=runs, since=since, profiles=profiles, namespace=namespace)
    chosen: dict[str, Value] = {"namespace": namespace, **selection.parameters}
    found = {row["revision"]: row for row in _ask(store, "revisions", **chosen)} if selection else every
    if not found or (revision is not None and revision not in found):
        there = f"; it has coverage at {', '.join(map(repr, found))}" if found else ""
        where = f" at revision {revision!r}" if revision is not None else ""
        raise NoCoverageError(f"{store.dsn}: {_selected(selection)}: no coverage{where}{there}")
    row = found[next(iter(found)) if revision is None else revision]
    chosen["revision"] = row["revision"]
    present = [each["service"] for each in _ask(store, "services", **chosen)]
    unknown = sorted(set(services) - set(present))
    if unknown:
        raise NoCoverageError(
            f"{store.dsn}: no coverage of service {unknown[0]!r} at that revision; {suggestion(unknown[0], present)}"
        )
    selection = replace(selection, absent=_absent(store, selection, chosen))
    names = tuple(sorted(set(services))) or tuple(present)
    return RevisionQueries(
        store,
        row["revision"],
        namespace,
        names,
        row["last_seen"],
        row["runs"],
        len(names) < len(present),
        selection,
        tuple(
            sorted(name for name in set(expected) if not profiles or any(fnmatchcase(name, each) for each in profiles))
        ),
    )


def doubts(profile: Row) -> str:
    """Why the figures of a profile, a row of the leaderboard, may be too low; empty where nothing says so."""
    failed = profile["failed_runs"] - (profile["runs"] - profile["counted_runs"])  # a run that does not count failed
    reasons = [f"{failed} of {profile['counted_runs']} runs failed"] if failed else []
    if not profile["complete"]:
        known = zip(profile["incomplete_reasons"], profile["incomplete_details"], strict=True)
        reasons += [detail or reason for reason, detail in known] or ["only parts of its requests and jobs arrived"]
    return "; ".join(reasons)


def _percent(covered: int, total: int) -> float | None:
    """A share as the views have it: the engine rounds what it multiplied."""
    return round(100 * covered / total * 100) / 100 if total else None


def _package(module: str) -> str:
    """The package that a module is in, or the module where it is in none."""
    return module.rpartition(".")[0] if "." in module else module


def _ask(store: Store, name: str, **values: Value) -> list[dict[str, Any]]:
    return _answer(store, named_query(name), values).records()


def _answer(store: Store, query: NamedQuery, given: Mapping[str, Value]) -> Result:
    """The rows of a query; unlike :meth:`NamedQuery.ask`, an empty revision is one."""
    values = query.bind(given)
    return store.query(query.statement(store, values), values)


def _absent(store: Store, selection: Selection, chosen: Mapping[str, Value]) -> tuple[str, ...]:
    """Which of the runs and profiles that were named one by one have no coverage at the revision."""
    if not selection.named:
        return ()
    (present,) = store.query(_PRESENT, {"namespace": chosen["namespace"], "revision": chosen["revision"]}).records()
    return tuple(f"{what} {name}" for what, name in selection.named if name not in present[what])


def _selected(selection: Selection) -> str:
    """The selection in words."""
    parts = [
        f"{what}{'s' if len(names) != 1 else ''} {', '.join(map(repr, names[:3]))}{' …' if len(names) > 3 else ''}"
        for what, names in (("profile", selection.profiles), ("run", selection.runs))
        if names
    ]
    return " in ".join(parts)


def _beside(store: Store, namespace: str, revision: str) -> str:
    """What was played since and is lost, after another sentence."""
    lost = lost_runs(store, {"namespace": namespace, "revision": revision})
    return "" if lost is None else f". {lost}"


def _in(namespace: str) -> str:
    return f" in namespace {namespace!r}" if namespace else ""


def _other_namespaces(store: Store) -> str:
    """Which namespaces have coverage, or what to check where none has."""
    rows = store.query(
        "SELECT DISTINCT toString(namespace) AS name FROM coverage_runs WHERE recorded OR covered ORDER BY name LIMIT 5"
    ).rows
    if rows:
        names = ", ".join(repr(name) for (name,) in rows)
        return f"namespaces with coverage: {names}; choose one with --namespace"
    return "play a profile against a traced application first; `otel-coverage doctor` says what is traced here"
