"""Batches: what the collector inserted, and whether all that is derived from it stands in the tables."""
# ruff: noqa: S608 - names of our own; values are bound

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from otel_coverage.store.derivation import INTAKE_TABLE, derived_spans, intake_query
from otel_coverage.store.layout import TRACES
from otel_coverage.store.schema import layout_of
from otel_coverage.store.store import Store

TABLE = "coverage_batches"
COLUMNS = ("kind", "batch", "whole", "first", "last", "spans", "keys", "detail")

SETTINGS = {"async_insert": "0", "distributed_foreground_insert": "1"}  # what has returned is in the table

SpanKey = tuple[str, str, int]  # trace, span, digest of the content
Fingerprint = tuple[str, str, int, int, str, int]  # trace, span, start and duration in ns, name, bytes of attributes

_KEYS = f"SELECT k.trace, k.span FROM {TABLE} ARRAY JOIN keys AS k WHERE kind = 'batch' AND batch = {{batch:String}}"
_TRACES = _KEYS.replace("k.trace, k.span", "k.trace")
_OF_BATCH = (
    "Timestamp BETWEEN fromUnixTimestamp64Nano({since:Int64}) AND fromUnixTimestamp64Nano({until:Int64})"
    f" AND TraceId GLOBAL IN ({_TRACES}) AND (TraceId, SpanId) GLOBAL IN ({_KEYS})"
)
_NARROWED = "profile IN {profiles:Array(String)} AND run IN {runs:Array(String)}"  # what the tables are ordered by

_SPANS = f"""
SELECT
    (SELECT uniqExact(k.trace, k.span) FROM {TABLE} ARRAY JOIN keys AS k
        WHERE kind = 'batch' AND batch = {{batch:String}}) AS wanted,
    (SELECT uniqExact(TraceId, SpanId) FROM {{spans}} WHERE {_OF_BATCH}) AS inserted,
    (SELECT count() FROM (SELECT DISTINCT trace, span FROM ({derived_spans(_OF_BATCH, "{spans}")})) AS d
        WHERE (d.trace, d.span) GLOBAL NOT IN
            (SELECT trace, span FROM coverage_spans WHERE {_NARROWED} AND trace GLOBAL IN ({_TRACES}))
        AND (d.trace, d.span) GLOBAL NOT IN
            (SELECT trace, span FROM coverage_unassigned WHERE {_NARROWED} AND trace GLOBAL IN ({_TRACES}))) AS lacking
"""

_GROUP = "(namespace, revision, profile, run, service)"

# A third of the time of the two others together: the engine takes long to plan the queries of views.
_AT_ONCE = f"""
SELECT
    (SELECT uniqExact(TraceId, SpanId) FROM {{spans}} WHERE {_OF_BATCH}) AS inserted,
    (SELECT uniqExact(trace, span) FROM coverage_unassigned
        WHERE {_NARROWED} AND (trace, span) GLOBAL IN ({_KEYS})) AS unassigned,
    (SELECT (uniqExact(trace, span), uniqExactIf({_GROUP}, function_count > 0), uniqExactIf({_GROUP}, line_count > 0))
        FROM coverage_spans WHERE {_NARROWED} AND (trace, span) GLOBAL IN ({_KEYS})) AS derived,
    (SELECT uniqExact{_GROUP} FROM coverage_functions
        WHERE {_NARROWED} AND last_seen >= fromUnixTimestamp64Nano({{since:Int64}})) AS with_functions,
    (SELECT uniqExact{_GROUP} FROM coverage_lines
        WHERE {_NARROWED} AND last_seen >= fromUnixTimestamp64Nano({{since:Int64}})) AS with_lines
"""

# A batch is one block in each table, and so one part: either all functions of its spans are there or none are. What is
# derived from them is not younger than the oldest of them.
_GROUPS = f"""
SELECT countIf(f.known < s.most), countIf(s.any_lines AND l.files = 0)
FROM (
    SELECT namespace, revision, profile, run, service, max(function_count) AS most, max(line_count) > 0 AS any_lines
    FROM coverage_spans WHERE {_NARROWED} AND (trace, span) GLOBAL IN ({_KEYS})
    GROUP BY namespace, revision, profile, run, service
) AS s
GLOBAL LEFT JOIN (
    SELECT namespace, revision, profile, run, service, uniqExact(module, qualname, line) AS known
    FROM coverage_functions
    WHERE {_NARROWED} AND last_seen >= fromUnixTimestamp64Nano({{since:Int64}})
    GROUP BY namespace, revision, profile, run, service
) AS f USING (namespace, revision, profile, run, service)
GLOBAL LEFT JOIN (
    SELECT namespace, revision, profile, run, service, count() AS files
    FROM coverage_lines
    WHERE {_NARROWED} AND last_seen >= fromUnixTimestamp64Nano({{since:Int64}})
    GROUP BY namespace, revision, profile, run, service
) AS l USING (namespace, revision, profile, run, service)
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Spans that are inserted together.

    Attributes:
        name: of the batch, unlike any other.
        first: number of the first record of the log that they came in.
        last: number of the last one.
        keys: the spans.
        since: the start of the first span, in nanoseconds since 1970.
        until: the start of the last one.
        profiles: of all spans.
        runs: of all spans.
        traced: how many of the spans ``coverage_spans`` has to have; where that is not known, -1.
        table: the one that its spans are inserted into.
    """

    name: str
    first: int
    last: int
    keys: Sequence[SpanKey]
    since: int
    until: int
    profiles: Sequence[str]
    runs: Sequence[str]
    traced: int = -1
    table: str = TRACES

    @property
    def parameters(self) -> dict[str, object]:
        """What the queries about it are bound to."""
        return {
            "batch": self.name,
            "since": self.since,
            "until": self.until,
            "profiles": list(self.profiles),
            "runs": list(self.runs),
        }


def begin(store: Store, batch: Batch) -> None:
    """Write down a batch before its spans are inserted."""
    _write(store, batch, whole=False)


def finish(store: Store, batch: Batch) -> None:
    """Write down that all of a batch was found in the tables."""
    _write(store, batch, whole=True)


def note(
    store: Store,
    kind: str,
    name: str,
    *,
    first: int = 0,
    last: int = 0,
    keys: Sequence[SpanKey] = (),
    detail: str = "",
) -> None:
    """Write down something that was wrong.

    Args:
        store: one that the schema was applied to.
        kind: ``conflict``, ``set_aside``, ``lost`` or ``torn``.
        name: what it is known by; written twice it is there once.
        first: number of the first record of the log that is concerned.
        last: number of the last one.
        keys: the spans that are concerned, as far as they are known.
        detail: what happened, for people.
    """
    store.insert(TABLE, COLUMNS, [(kind, name, True, first, last, len(keys), list(keys), detail)], SETTINGS)


def is_whole(store: Store, batch: Batch) -> bool:
    """Whether the tables have all of a batch that was inserted at once; where not, :func:`missing_of` says what."""
    inserted, unassigned, derived, with_functions, with_lines = store.query(
        _AT_ONCE.replace("{spans}", batch.table), batch.parameters
    ).rows[0]
    spans, functions, lines = derived
    return (
        (inserted, spans + unassigned) == (len({key[:2] for key in batch.keys}), batch.traced)
        and with_functions >= functions
        and with_lines >= lines
    )


def missing_of(store: Store, batch: Batch) -> str:
    """What the tables lack of a batch that was written down, for people; empty where they have all of it."""
    wanted, inserted, lacking = store.query(_SPANS.replace("{spans}", batch.table), batch.parameters).rows[0]
    if inserted < wanted:
        return f"{wanted - inserted} of {wanted} spans are not in {batch.table}"
    if lacking:
        return f"{lacking} of {wanted} spans are not in coverage_spans"
    if batch.profiles:
        functions, lines = store.query(_GROUPS, batch.parameters).rows[0]
        if functions or lines:
            table = "coverage_functions" if functions else "coverage_lines"
            return f"what {functions or lines} profiles executed is not in {table}"
    return ""


def derive(store: Store, batch: Batch) -> None:
    """Fill the coverage tables once more from the spans of a batch: what is there already stays as it is."""
    columns, query = intake_query(_OF_BATCH, batch.table)
    store.command(f"INSERT INTO {INTAKE_TABLE} ({columns}) {query}", batch.parameters)


def present(store: Store, batch: Batch) -> Counter[Fingerprint]:
    """The spans of a batch that were inserted by an attempt before, and how often."""
    found = store.query(
        "SELECT TraceId, SpanId, toUnixTimestamp64Nano(Timestamp), Duration, toString(SpanName),"
        " arraySum(arrayMap(value -> length(value), mapValues(SpanAttributes))), count()"
        f" FROM {batch.table} WHERE {_OF_BATCH} GROUP BY ALL",
        batch.parameters,
    )
    return Counter({tuple(row[:-1]): row[-1] for row in found.rows})


def recent_keys(store: Store, limit: int) -> list[SpanKey]:
    """The spans of the last whole batches, the oldest first: at least ``limit``, where there were as many."""
    total, oldest = 0, None
    for written, spans in store.query(
        f"SELECT written, spans FROM {TABLE} WHERE kind = 'batch' AND whole ORDER BY written DESC LIMIT 100000"
    ).rows:
        total, oldest = total + spans, written
        if total >= limit:
            break
    if oldest is None:
        return []
    rows = store.query(
        f"SELECT keys FROM {TABLE} WHERE kind = 'batch' AND whole AND written >= {{oldest:DateTime64(3, 'UTC')}}"
        " ORDER BY written",
        {"oldest": oldest},
    ).rows
    return [_as_key(key) for (keys,) in rows for key in keys]


def forget_old(store: Store, days: int = 30) -> None:
    """Delete what is known of whole batches that are older than that; of others it stays.

    Raises:
        StoreError: the engine refuses.
    """
    old = f"kind = 'batch' AND written < now64(3) - toIntervalDay({days})"
    if store.query(f"SELECT count() FROM {TABLE} WHERE {old}").rows[0][0]:
        layout = layout_of(store)
        whole = f"SELECT batch FROM {layout.local(TABLE)} WHERE kind = 'batch' AND whole"
        store.command(f"DELETE FROM {layout.local(TABLE)}{layout.everywhere} WHERE {old} AND batch IN ({whole})")


def unfinished(store: Store) -> list[Batch]:
    """The batches that were begun and not found whole; their times and profiles are those of :func:`located`."""
    # the two rows of a batch may be on two shards, so the engine does not replace one by the other everywhere
    rows = store.query(
        f"SELECT batch, any(first), any(last), any(keys) FROM {TABLE} WHERE kind = 'batch'"
        " GROUP BY batch HAVING NOT max(whole) ORDER BY min(written)"
    ).rows
    if not rows:
        return []
    table = layout_of(store).spans
    return [
        Batch(name, first, last, [_as_key(key) for key in keys], 0, 2**63 - 1, (), (), table=table)
        for name, first, last, keys in rows
    ]


def located(store: Store, batch: Batch) -> Batch:
    """A batch with the times and profiles of its spans, as far as they are in the store by now."""
    since, until, profiles, runs = store.query(
        "SELECT min(toUnixTimestamp64Nano(Timestamp)), max(toUnixTimestamp64Nano(Timestamp)),"
        " groupUniqArray(SpanAttributes['playback.profile']), groupUniqArray(SpanAttributes['playback.run_id'])"
        f" FROM {batch.table} WHERE {_OF_BATCH}",
        batch.parameters,
    ).rows[0]
    return replace(batch, since=since, until=until, profiles=profiles, runs=runs)


def _write(store: Store, batch: Batch, *, whole: bool) -> None:
    row = ("batch", batch.name, whole, batch.first, batch.last, len(batch.keys), list(batch.keys), "")
    store.insert(TABLE, COLUMNS, [row], SETTINGS)


def _as_key(value: Mapping[str, Any] | Sequence[Any]) -> SpanKey:
    trace, span, digest = value.values() if isinstance(value, Mapping) else value
    return str(trace), str(span), int(digest)
