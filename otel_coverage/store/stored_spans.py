"""Whether the coverage tables hold what the spans in ``otel_traces`` brought, and whether the engine lost parts.

Materialized views may have failed on an insert whose spans were kept (``materialized_views_ignore_errors``), or the
server may have been killed between two of them. What a span brings is read here as the views read it, and looked for in
the tables. Spans that were dropped by their TTL are compared no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_coverage.errors import StoreError
from otel_coverage.store.backfill import intake
from otel_coverage.store.schema import layout_of

if TYPE_CHECKING:
    from otel_coverage.store.store import Store

_FIX = "`otel-coverage schema apply --backfill` derives it from the spans"

# the index on values finds the granules that hold the run
_OF_RUN = (
    "  AND (SpanAttributes['playback.run_id'] = {run:String} AND has(mapValues(SpanAttributes), {run:String})"
    " OR SpanAttributes['playback.run_id'] = '' AND SpanAttributes['coverage.role'] != 'counts' AND"
    " (SpanAttributes['playback.profile'], TraceId) GLOBAL IN"
    " (SELECT toString(profile), trace FROM coverage_assignments GROUP BY profile, trace "
    "  HAVING argMax(run, written) = {run:String}))"
)

_SPANS = """
SELECT profile, count() AS found
FROM (
    SELECT DISTINCT namespace, revision, profile, trace, span
    FROM ({intake})
    WHERE profile != '_startup'
)
WHERE (namespace, revision, profile, trace, span) GLOBAL NOT IN (
    SELECT namespace, revision, profile, trace, span FROM coverage_spans WHERE run = {run:String}
)
GROUP BY profile
ORDER BY profile
"""
_FUNCTIONS = """
SELECT profile, count() AS found
FROM (
    SELECT DISTINCT namespace, revision, profile, service, arrayJoin(functions) AS function
    FROM ({intake})
    WHERE profile != '_startup'
)
WHERE (namespace, revision, profile, service, function) GLOBAL NOT IN (
    SELECT namespace, revision, profile, service, concat(module, ':', qualname, '@', toString(line))
    FROM coverage_functions WHERE run = {run:String}
)
GROUP BY profile
ORDER BY profile
"""
_INDEX = """
SELECT profile, count() AS found
FROM (
    SELECT DISTINCT namespace, revision, profile, module, qualname, line
    FROM coverage_functions WHERE run = {run:String}
)
WHERE (namespace, revision, profile, module, qualname, line) GLOBAL NOT IN (
    SELECT namespace, revision, arrayJoin(profiles), module, qualname, line
    FROM coverage_by_symbol WHERE run = {run:String}
)
GROUP BY profile
ORDER BY profile
"""
_LINES = """
SELECT profile, uniqExact(path) AS found
FROM (
    SELECT DISTINCT namespace, revision, profile, service, entry.1 AS path, arrayJoin(entry.2) AS bounds
    FROM (
        SELECT namespace, revision, profile, service, arrayJoin(files) AS entry
        FROM ({intake})
        WHERE profile != '_startup'
    )
)
WHERE (namespace, revision, profile, service, path, bounds.1, bounds.2) GLOBAL NOT IN (
    SELECT namespace, revision, profile, service, file, held.1, held.2
    FROM (SELECT *, arrayJoin(ranges) AS held FROM coverage_lines WHERE run = {run:String})
)
GROUP BY profile
ORDER BY profile
"""
_ENTRY_POINTS = """
SELECT profile, count() AS found
FROM (
    SELECT DISTINCT namespace, revision, profile, service, kind, entry_point, arrayJoin(functions) AS function
    FROM ({intake})
    WHERE profile != '_startup' AND kind != '' AND entry_point != ''
)
WHERE (namespace, revision, profile, service, kind, entry_point, function) GLOBAL NOT IN (
    SELECT namespace, revision, arrayJoin(profiles), service, kind, entry_point, symbol
    FROM coverage_entry_points WHERE run = {run:String}
)
GROUP BY profile
ORDER BY profile
"""
_CHECKS = (
    ("coverage_spans", "spans_not_read", "{} spans", _SPANS),
    ("coverage_functions", "functions_not_read", "{} functions", _FUNCTIONS),
    ("coverage_by_symbol", "functions_not_read", "{} functions", _INDEX),
    ("coverage_lines", "lines_not_read", "lines of {} files", _LINES),
    ("coverage_entry_points", "functions_not_read", "{} functions of entry points", _ENTRY_POINTS),
)

# reads every column, and with it the checksum of every block
_EVERYTHING = "SELECT count() FROM {table} WHERE run = {run:String} AND NOT ignore(*)"

# What a damaged record of the collector's log held, nobody knows; it was written down when the log was read again.
_DAMAGED = """
SELECT detail
FROM (SELECT DISTINCT batch, detail, written FROM coverage_batches WHERE kind = 'lost')
WHERE written >= (SELECT min(r.first_seen) FROM coverage_runs AS r WHERE {condition})
ORDER BY detail
"""

# A span cannot execute more functions than all of its profile, run and service did.
_SHORT = """
SELECT DISTINCT toString(s.revision) AS revision, toString(s.profile) AS profile
FROM (
    SELECT revision, profile, run, service, max(function_count) AS most
    FROM coverage_spans
    WHERE namespace = {namespace:String} AND revision IN {revisions:Array(String)} AND function_count > 0
    GROUP BY revision, profile, run, service
) AS s
GLOBAL LEFT JOIN (
    SELECT revision, profile, run, service, uniqExact(cityHash64(module, qualname, line)) AS known
    FROM coverage_functions
    WHERE namespace = {namespace:String} AND revision IN {revisions:Array(String)}
    GROUP BY revision, profile, run, service
) AS f USING (revision, profile, run, service)
WHERE f.known < s.most
ORDER BY revision, profile
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """What spans brought and a table does not have.

    Attributes:
        profile: whose spans.
        table: the table.
        reason: a code that groups.
        detail: how much, and what to do.
    """

    profile: str
    table: str
    reason: str
    detail: str


def differences(store: Store, run: str) -> Iterator[Difference]:
    """What the spans of a run brought and the tables do not have, table by table.

    It takes about as long as their insert did. On a cluster it reads the spans of the shard that the store is connected
    to.

    Raises:
        StoreError: no schema was applied, or the engine refuses: a reader may lack the right to read raw spans.
    """
    _, query = intake(layout_of(store), store.database)
    for table, reason, amount, sql in _CHECKS:
        for profile, found in store.query(sql.replace("{intake}", f"{query}\n{_OF_RUN}"), {"run": run}).rows:
            detail = f"{amount.format(found)} that its spans brought are not in {table}; {_FIX}"
            yield Difference(str(profile), table, reason, detail)


def unreadable_tables(store: Store, run: str) -> Iterator[tuple[str, str]]:
    """Tables of which the engine cannot read what they hold of a run, as where bytes on the disk have changed.

    Yields:
        The table, and what the engine says.
    """
    for table, *_ in _CHECKS:
        try:
            store.query(_EVERYTHING.replace("{table}", table), {"run": run})
        except StoreError as error:
            yield table, str(error)


def damaged_records(store: Store, run: str) -> Iterator[str]:
    """What the collector said of damaged records in its log, since the run began.

    Raises:
        StoreError: the engine refuses.
    """
    for (detail,) in store.query(_DAMAGED.replace("{condition}", "run = {run:String}"), {"run": run}).rows:
        yield str(detail)


def damaged_records_since(store: Store, namespace: str, revision: str) -> list[str]:
    """As :func:`damaged_records`, since a revision was first recorded.

    Raises:
        StoreError: the engine refuses.
    """
    of_revision = "namespace = {namespace:String} AND revision = {revision:String} AND (recorded OR covered)"
    sql = _DAMAGED.replace("{condition}", of_revision)
    return [str(detail) for (detail,) in store.query(sql, {"namespace": namespace, "revision": revision}).rows]


def short_profiles(store: Store, namespace: str, revisions: Sequence[str]) -> dict[str, list[str]]:
    """Profiles of which the tables hold fewer functions than a single one of their spans brought, by revision.

    Raises:
        StoreError: the engine refuses.
    """
    found: dict[str, list[str]] = {revision: [] for revision in revisions}
    for revision, profile in store.query(_SHORT, {"namespace": namespace, "revisions": list(revisions)}).rows:
        found[revision].append(profile)
    return found
