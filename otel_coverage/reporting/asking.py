"""From the store to findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from otel_coverage.errors import StoreError
from otel_coverage.reporting.findings import Definition, Findings, Hit, Profile
from otel_coverage.store.named_queries import named_query
from otel_coverage.symbols import Symbol

if TYPE_CHECKING:
    from otel_coverage.store import Store


def find(store: Store, *, revision: str | None = None, namespace: str = "", services: Sequence[str] = ()) -> Findings:
    """All that the store knows of a revision.

    Args:
        store: whom to ask.
        revision: None for the newest that has coverage.
        namespace: the services that share one source tree.
        services: count only what these executed; empty for all. Whether a profile is complete is told of all of them:
            what one of them lost may be missing from the others' figures too.

    Raises:
        StoreError: it has no coverage of that revision, or no such service.
    """
    question = _Question(store, namespace)
    times = {row["revision"]: row["last_seen"] for row in question.ask("revisions")}
    if not times:
        raise StoreError(f"{store.dsn}: no coverage{_in(namespace)}; {_other_namespaces(store)}")
    if revision is None:
        revision = next((known for known in times if known), "")
    if revision not in times:
        known = ", ".join(str(name) for name in list(times)[:5])
        raise StoreError(f"{store.dsn}: no coverage of revision {revision!r}{_in(namespace)}; it has {known}")
    present = [row["service"] for row in question.ask("services", revision=revision)]
    unknown = sorted(set(services) - set(present))
    if unknown:
        raise StoreError(
            f"{store.dsn}: no coverage of service {unknown[0]!r} at that revision; it has {', '.join(present)}"
        )
    chosen = {"revision": revision, "services": ",".join(sorted(services))}
    hits: dict[str, dict[Symbol, Hit]] = {}
    for row in question.ask("executed-functions", **chosen):
        symbol = Symbol(row["module"], row["qualname"], row["line"])
        hit = Hit(row["first_seen"], row["last_seen"], row["exemplar_trace_id"])
        hits.setdefault(row["profile"], {})[symbol] = hit
    lines: dict[str, dict[str, frozenset[int]]] = {}
    for row in question.ask("executed-lines", **chosen):
        lines.setdefault(row["profile"], {})[row["file"]] = frozenset(row["lines"])
    branches = {row["profile"]: row["whole"] for row in question.ask("branches", **chosen)}
    arcs: dict[str, dict[str, frozenset[tuple[int, int]]]] = {
        profile: {} for profile, whole in branches.items() if whole
    }
    if arcs:
        for row in question.ask("executed-arcs", **chosen):
            if row["profile"] in arcs:
                arcs[row["profile"]][row["file"]] = frozenset((before, after) for before, after in row["arcs"])
    return Findings(
        revision=revision,
        namespace=namespace,
        services=tuple(sorted(services) or present),
        newest_span=times[revision],
        profiles=tuple(
            sorted(
                (_profile(row) for row in question.ask("leaderboard", revision=revision)),
                key=lambda profile: profile.name,
            )
        ),
        hits=hits,
        lines=lines,
        catalog=tuple(_definition(row) for row in question.ask("catalog", revision=revision)),
        arcs=arcs,
        half_branched=tuple(profile for profile, whole in branches.items() if not whole),
    )


class _Question:
    """Asks the named queries about one namespace."""

    def __init__(self, store: Store, namespace: str) -> None:
        self._store = store
        self._namespace = namespace

    def ask(self, name: str, **parameters: str) -> list[dict[str, Any]]:
        query = named_query(name)
        values = query.bind({"namespace": self._namespace, **parameters})
        return self._store.query(query.sql, values).records()


def _profile(row: dict[str, Any]) -> Profile:
    return Profile(
        name=row["profile"],
        runs=row["runs"],
        failed_runs=row["failed_runs"],
        requests=row["requests"],
        jobs=row["jobs"],
        complete=row["complete"],
        incomplete_reasons=tuple(row["incomplete_reasons"]),
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
    )


def _definition(row: dict[str, Any]) -> Definition:
    return Definition(
        symbol=Symbol(row["module"], row["qualname"], row["line"]),
        kind=row["kind"],
        file=row["file"],
        end_line=row["end_line"],
        parent=row["parent"],
        executable_lines=tuple(row["executable_lines"]),
    )


def _in(namespace: str) -> str:
    return f" in namespace {namespace!r}" if namespace else ""


def _other_namespaces(store: Store) -> str:
    """Where else there is some, or what to look at where there is none."""
    rows = store.query(
        "SELECT DISTINCT toString(namespace) AS name FROM coverage_spans "
        "WHERE role IN ('server', 'consumer', 'process') ORDER BY name LIMIT 5"
    ).rows
    if rows:
        names = ", ".join(repr(name) for (name,) in rows)
        return f"there is some in namespace {names}; --namespace chooses"
    return "play a profile against a traced application first; `otel-coverage doctor` says what is wired"
