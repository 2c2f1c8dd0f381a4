"""What the store says of one revision: the named queries, asked about its services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from otel_coverage.errors import StoreError
from otel_coverage.store.named_queries import named_query

if TYPE_CHECKING:
    from otel_coverage.store import Result, Store

Row = Mapping[str, Any]


@dataclass(frozen=True)
class RevisionQueries:
    """Asks named queries about one revision.

    What is read more than once, and small, is kept: it can still be read when the store is closed.

    Attributes:
        store: an open store.
        revision: the revision.
        namespace: the services that share one source tree.
        services: those whose coverage counts.
        newest_span: start of the newest span of the revision, of any service.
        narrowed: whether the revision has other services than these.
    """

    store: Store
    revision: str
    namespace: str
    services: tuple[str, ...]
    newest_span: datetime
    narrowed: bool

    def ask(self, name: str) -> Result:
        """The rows of a named query, about the chosen services where it can be asked so.

        Raises:
            StoreError: the engine refuses.
        """
        query = named_query(name)
        values = query.bind({"namespace": self.namespace, "revision": self.revision})
        if self.narrowed and "services" in values:
            values["services"] = ",".join(self.services)
        return self.store.query(query.statement(self.store, values), values)

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
        """What all profiles execute together."""
        (row,) = self.ask("totals").records()
        return row

    @cached_property
    def branches(self) -> dict[str, bool]:
        """The profiles that were recorded with branches, and whether all of their lines were."""
        return {row["profile"]: row["whole"] for row in self.ask("branches").records()}

    @property
    def has_catalog(self) -> bool:
        """Whether a catalog was pushed for the revision; without one nothing is known about gaps and shares."""
        return bool(self.modules)

    @property
    def complete(self) -> bool:
        """Whether no run failed and no coverage is known to be missing."""
        return not any(map(doubts, self.leaderboard))


def select_revision(
    store: Store, *, revision: str | None = None, namespace: str = "", services: Sequence[str] = ()
) -> RevisionQueries:
    """The queries about a revision that has coverage.

    Args:
        store: an open store.
        revision: None for the newest that has coverage.
        namespace: the services that share one source tree.
        services: the services whose coverage counts; empty for all.

    Raises:
        StoreError: the store has no coverage of that revision, or of such a service.
    """
    found = _ask(store, "revisions", namespace=namespace)
    times = {row["revision"]: row["last_seen"] for row in found}
    if not times:
        raise StoreError(f"{store.dsn}: no coverage{_in(namespace)}; {_other_namespaces(store)}")
    if revision is None:
        revision = next(iter(times))
    if revision not in times:
        known = ", ".join(str(name) for name in list(times)[:5])
        raise StoreError(f"{store.dsn}: no coverage of revision {revision!r}{_in(namespace)}; it has {known}")
    present = [row["service"] for row in _ask(store, "services", namespace=namespace, revision=revision)]
    unknown = sorted(set(services) - set(present))
    if unknown:
        raise StoreError(
            f"{store.dsn}: no coverage of service {unknown[0]!r} at that revision; it has {', '.join(present)}"
        )
    chosen = tuple(sorted(set(services))) or tuple(present)
    return RevisionQueries(store, revision, namespace, chosen, times[revision], len(chosen) < len(present))


def doubts(profile: Row) -> str:
    """Why the figures of a profile, a row of the leaderboard, may be too low; empty where nothing says so."""
    reasons = [f"{profile['failed_runs']} of {profile['runs']} runs failed"] if profile["failed_runs"] else []
    if not profile["complete"]:
        known = zip(profile["incomplete_reasons"], profile["incomplete_details"], strict=True)
        reasons += [detail or reason for reason, detail in known] or ["only parts of its requests and jobs arrived"]
    return "; ".join(reasons)


def _ask(store: Store, name: str, **values: str) -> list[dict[str, Any]]:
    query = named_query(name)
    return store.query(query.sql, query.bind(values)).records()


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
