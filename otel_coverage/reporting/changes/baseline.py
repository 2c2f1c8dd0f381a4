"""What a report is compared with: an earlier revision, or some runs of it, by a name that a user gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.reporting.queries import RevisionQueries, select_revision
from otel_coverage.reporting.selection import select
from otel_coverage.store.known_names import known_revision
from otel_coverage.store.named_queries import named_query
from otel_coverage.suggestions import suggestion

if TYPE_CHECKING:
    from otel_coverage.store import Store

PREVIOUS = "previous"


def find_baseline(now: RevisionQueries, name: str, folder: Path = Path()) -> RevisionQueries | None:
    """The queries about what a name means, about the same services and profiles as the report.

    Args:
        now: what is compared with it.
        name: a revision, the beginning of one, a name of git's; a run id, or a pattern of them; or ``previous``: the
            revision that was traced last before that of `now`.
        folder: where git is asked about the revision.

    Returns:
        None where there is no previous one.

    Raises:
        ConfigurationError: the store has no such revision or run, or it is what the report itself is about.
        StoreError: the store has coverage of it, but not of the services or profiles that the report is about.
    """
    if name == PREVIOUS:
        earlier = now.revisions[1:]
        return _queries(now, earlier[0]["revision"], ()) if earlier else None
    known = [str(row["revision"]) for row in _revisions(now.store, namespace=now.namespace)]
    try:
        revision = known_revision(name, known, str(now.store.dsn), folder)
    except ConfigurationError as error:
        runs = _runs(now, name, error)
        (row, *_) = _revisions(now.store, namespace=now.namespace, runs=list(runs))
        revision = str(row["revision"])
    else:
        runs = ()
    if revision == now.revision and not (runs and now.selection.runs and not {*runs} & {*now.selection.runs}):
        other = "name other runs, and those of the report by --run" if runs else "name another one, or a run of it"
        raise ConfigurationError(f"{name}: this is what the report itself is about; {other}")
    return _queries(now, revision, runs)


def _queries(now: RevisionQueries, revision: str, runs: tuple[str, ...]) -> RevisionQueries:
    return select_revision(
        now.store,
        revision=revision,
        namespace=now.namespace,
        services=now.services if now.narrowed else (),
        runs=runs,
        profiles=now.selection.profiles,
    )


def _revisions(store: Store, **chosen: str | list[str]) -> list[dict[str, object]]:
    given = {name: value for name, value in chosen.items() if value or name == "namespace"}
    return named_query("revisions").ask(store, given).records()


def _runs(now: RevisionQueries, name: str, error: ConfigurationError) -> tuple[str, ...]:
    """The runs that are meant by a name which means no revision; `error` says why."""
    try:
        return select(now.store, runs=(name,), namespace=now.namespace).runs
    except StoreError:
        found = now.store.query("SELECT DISTINCT run FROM coverage_runs WHERE run != '' ORDER BY run").rows
        near = suggestion(name, (str(run) for (run,) in found))
        raise ConfigurationError(f"{error}; no run has that name either: {near}") from error
