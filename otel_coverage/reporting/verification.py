"""Whether all of a run arrived: asked of its traces, and of the tables that were filled from them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from otel_coverage.errors import AccessDeniedError, ConfigurationError, StoreError
from otel_coverage.store.folding import unfolded_profiles
from otel_coverage.store.known_names import checked
from otel_coverage.store.named_queries import named_query
from otel_coverage.store.parts import detached_parts
from otel_coverage.store.stored_spans import damaged_records, differences, unreadable_tables

if TYPE_CHECKING:
    from otel_coverage.store import Store

_INTERVAL = 1.0  # seconds between two attempts
_LASTING = frozenset({"killed", "several_revisions"})  # reasons that nothing which arrives later takes away
_ARRIVED = """
SELECT uniqExact(profile) AS profiles, uniqExactIf(trace, span, role = 'server') AS requests,
    uniqExactIf(trace, span, role = 'consumer') AS jobs, uniqExactIf(trace, span, role = 'process') AS processes
FROM coverage_spans
WHERE run = {run:String} AND role IN ('server', 'consumer', 'process')
"""

_NOT_FOLDED = (
    "requests without a run id of this profile are not all in their runs, and may be of this one; `otel-coverage store "
    "fold`, by a user who may insert, puts them into runs"
)
_WITHOUT_RUN_ID = "SELECT countIf(hasAny(evidence, ['window', 'gap'])) FROM coverage_runs WHERE run = {run:String}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is missing.

    Attributes:
        profile: whose; empty where it concerns the store as a whole.
        kind: ``request``, ``job``, ``process``, ``part`` (parts of one of these arrived alone), ``run`` or ``store``.
        name: the request's or the job's, or the table's.
        reason: a code that groups.
        detail: what happened, a sentence.
        service: the one whose span was seen last.
        process: of that service, 16 hexadecimal digits; empty where it is not known.
        last_seen: when that span began; None where no span says.
        trace: its trace id.
        revision: what it ran at; empty where that is not known.
    """

    profile: str
    kind: str
    name: str
    reason: str
    detail: str
    service: str = ""
    process: str = ""
    last_seen: datetime | None = None
    trace: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What is known of a run.

    Attributes:
        run: its id.
        profiles: how many were recorded.
        requests: how many arrived.
        jobs: how many arrived.
        processes: how many commands arrived.
        findings: what is missing.
        notes: what could not be checked, sentences.
    """

    run: str
    profiles: int
    requests: int
    jobs: int
    processes: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return not self.findings


def verify(store: Store, run: str, wait: float = 0.0) -> Verification:
    """Check a run: when all of it has arrived that still may, or after a while.

    Args:
        store: an open store.
        run: the run id.
        wait: seconds to wait for what has not arrived yet; applications export in intervals.

    Raises:
        ConfigurationError: the store knows no such run.
        StoreError: the engine refuses.
    """
    deadline = time.monotonic() + wait
    while True:
        late = time.monotonic() >= deadline
        try:
            checked(store, {"runs": [run]})
        except ConfigurationError:
            if late:
                raise
        else:
            found = tuple(_of_traces(store, run))
            if late or all(each.reason in _LASTING for each in found):
                return _checked_with_tables(store, run, found)
        time.sleep(min(_INTERVAL, max(deadline - time.monotonic(), 0)))


def _of_traces(store: Store, run: str) -> Iterable[Finding]:
    for row in named_query("verify").ask(store, {"run": run}).records():
        yield Finding(
            profile=str(row["profile"]),
            kind=row["kind"],
            name=row["name"],
            reason=str(row["incomplete_reason"]),
            detail=row["incomplete_detail"],
            service=row["reported_by"],
            process=row["process"],
            last_seen=row["started"].astimezone(timezone.utc),
            trace=row["trace"],
            revision=str(row["revision"]),
        )


def _checked_with_tables(store: Store, run: str, found: tuple[Finding, ...]) -> Verification:
    notes: list[str] = []
    try:
        found += tuple(
            Finding(each.profile, "store", each.table, each.reason, each.detail) for each in differences(store, run)
        )
    except AccessDeniedError as error:
        notes.append(f"the tables could not be compared with the spans that they were filled from: {error}")
    except StoreError as error:  # not a note: whoever cannot compare must not say that nothing is missing
        found += (
            Finding("", "store", "otel_traces", "not_compared", f"the comparison with its spans failed: {error}"),
        )
    found += tuple(
        Finding("", "store", table, "unreadable", f"the engine cannot read what it holds of the run: {error}")
        for table, error in unreadable_tables(store, run)
    )
    try:
        found += tuple(Finding("", "store", part.table, "detached_part", str(part)) for part in detached_parts(store))
    except AccessDeniedError as error:
        notes.append(f"whether the engine has set damaged parts of tables aside is not known: {error}")
    found += tuple(
        Finding("", "store", "the collector's log", "damaged_record", detail) for detail in damaged_records(store, run)
    )
    found += tuple(
        Finding(profile, "store", "coverage_unassigned", "not_folded", _NOT_FOLDED)
        for profile in unfolded_profiles(store, run)
    )
    if store.query(_WITHOUT_RUN_ID, {"run": run}).rows[0][0]:
        notes.append("its client does not say what it sends, so a request that never arrived cannot be noticed")
    (counts,) = store.query(_ARRIVED, {"run": run}).records()
    return Verification(run=run, findings=found, notes=tuple(notes), **counts)


def document(verification: Verification) -> Mapping[str, Any]:
    """The verification, ready for JSON."""
    return {
        "run": verification.run,
        "complete": verification.complete,
        "profiles": verification.profiles,
        "requests": verification.requests,
        "jobs": verification.jobs,
        "processes": verification.processes,
        "notes": list(verification.notes),
        "missing": [
            {
                "profile": each.profile,
                "kind": each.kind,
                "name": each.name,
                "reason": each.reason,
                "detail": each.detail,
                "service": each.service,
                "process": each.process,
                "last_seen": None if each.last_seen is None else each.last_seen.isoformat().replace("+00:00", "Z"),
                "trace": each.trace,
                "revision": each.revision,
            }
            for each in verification.findings
        ],
    }
