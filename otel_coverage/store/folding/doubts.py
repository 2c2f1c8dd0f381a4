"""What folding finds doubtful of runs: windows, requests that are lost by number, and records that name no run."""
# ruff: noqa: S608 - names of our own; values are bound

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from otel_coverage.printable import counted

if TYPE_CHECKING:
    from otel_coverage.store.store import Store

TABLE = "coverage_run_doubts"
_DAMAGED_RECORD = "damaged_record"  # which is never over
_COLUMNS = (
    "namespace",
    "revision",
    "profile",
    "run",
    "reason",
    "service",
    "process",
    "found",
    "missing",
    "detail",
    "first_seen",
    "exemplar_trace_id",
)

_OPEN = """
SELECT toString(profile), run, toUnixTimestamp64Nano(toDateTime64(w.last_began, 9))
FROM run_windows AS w
WHERE is_open AND {of_profiles} AND (profile, run) GLOBAL IN (SELECT profile, run FROM coverage_assignments)
"""
# Processes of which numbers are missing, or that gave up spans: each number that arrived, with its run.
_OF_NUMBERS = """
SELECT toString(u.namespace), toString(u.revision), profile, toString(u.service), toString(u.process),
    arraySort(groupUniqArrayIf(
        (u.number, p.run, toUnixTimestamp64Nano(u.started), u.trace), u.role != 'counts'
    )) AS seen,
    arraySort(groupUniqArrayIf((toUnixTimestamp64Nano(u.started), u.recorded, u.dropped), u.role = 'counts')) AS counts,
    toBool(any(u.process) GLOBAL IN (
        SELECT process FROM coverage_spans
        WHERE evidence != 'client' AND number = 0 AND role IN ('server', 'consumer', 'process')
            AND (toString(profile), trace) GLOBAL NOT IN (SELECT toString(profile), trace FROM coverage_unassigned)
    )) AS is_older
FROM (
    SELECT *, toString(profile) AS slug FROM coverage_unassigned
    WHERE {of_profiles} AND (role = 'counts' OR (number > 0 AND role IN ('server', 'consumer', 'process')))
) AS u
GLOBAL LEFT JOIN (
    SELECT toString(a.profile) AS slug, trace, argMax(a.run, a.written) AS run
    FROM coverage_assignments AS a
    WHERE {of_profiles}
    GROUP BY slug, trace
) AS p ON p.slug = u.slug AND p.trace = u.trace
GROUP BY u.namespace, u.revision, u.slug AS profile, u.service, u.process
HAVING notEmpty(seen) AND (
    uniqExactIf(u.number, u.role != 'counts') < greatest(max(u.number), max(u.recorded)) OR max(u.dropped) > 0
)
"""
# Records of a spool that were damaged: they may have been of any run of their application that was played at that time.
_OF_DAMAGES = """
WITH (
    SELECT groupUniqArray((
        toString(namespace), toString(service), trace, toUnixTimestamp64Nano(started),
        toUnixTimestamp64Nano(started) + toInt64(duration)
    ))
    FROM coverage_unassigned
    WHERE profile = '_damaged'
) AS damages
SELECT namespace, revision, profile, run, arrayJoin(arrayFilter(
    d -> (d.2 = '' OR d.1 = namespace) AND d.4 - {gap:Int64} <= last AND d.5 + {gap:Int64} >= first, damages
)) AS damage
FROM (
    SELECT toString(r.profile) AS profile, run, min(toUnixTimestamp64Nano(r.first_seen)) AS first,
        max(toUnixTimestamp64Nano(r.last_seen)) AS last,
        groupUniqArrayIf((toString(r.namespace), toString(r.revision)), r.recorded OR r.covered) AS places
    FROM coverage_runs AS r
    GROUP BY profile, run
)
ARRAY JOIN places.1 AS namespace, places.2 AS revision
"""
_KNOWN = f"""
SELECT toString(namespace), toString(revision), toString(profile), run, toString(reason), toString(service), process,
    argMax(d.found, d.written), argMax(d.missing, d.written), argMax(d.detail, d.written),
    argMax(toUnixTimestamp64Nano(d.first_seen), d.written), argMax(d.exemplar_trace_id, d.written),
    max(d.written) < now64(6) - toIntervalDay(6) AS is_settled
FROM {TABLE} AS d
WHERE {{of_profiles}}
GROUP BY namespace, revision, profile, run, reason, service, process
"""
_PLACES = """
SELECT DISTINCT toString(profile), run, toString(namespace), toString(revision)
FROM coverage_runs
WHERE {of_profiles} AND (recorded OR covered) AND run GLOBAL IN (SELECT run FROM coverage_assignments)
"""


class _Key(NamedTuple):
    namespace: str
    revision: str
    profile: str
    run: str
    reason: str
    service: str
    process: str


class _Doubt(NamedTuple):
    found: int
    missing: int
    detail: str
    first_seen: int
    exemplar_trace_id: str


class Doubted(NamedTuple):
    """A trace that is in the windows of several runs, or just outside of one.

    Attributes:
        run: that it is in.
        holders: the runs of these windows.
        began: in nanoseconds since 1970.
    """

    profile: str
    run: str
    holders: Sequence[str]
    began: int
    trace: str


def of_profiles(sql: str, profiles: Sequence[str]) -> str:
    """The statement with ``{of_profiles}`` as a condition: the profiles that ``only`` is bound to; without any, all."""
    return sql.replace("{of_profiles}", "profile IN {only:Array(String)}" if profiles else "true")


def write_doubts(store: Store, doubted: Sequence[Doubted], profiles: Sequence[str], gap: int) -> None:
    """Write down what is doubtful now, and what is not any more.

    Args:
        store: one that spans were folded in.
        doubted: by windows, of these profiles.
        profiles: those that were folded; none for all.
        gap: what separates sessions, in nanoseconds.

    Raises:
        StoreError: the engine refuses.
        UnreachableError: the server does not answer.
    """

    def ask(sql: str) -> Sequence[Sequence[Any]]:
        return store.query(of_profiles(sql, profiles), {"only": profiles}).rows

    places: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for profile, run, namespace, revision in ask(_PLACES):
        places[profile, run].append((namespace, revision))
    doubts: dict[_Key, _Doubt] = {}
    for profile, run, doubt, reason in (*_of_windows(doubted), *_of_open_windows(ask(_OPEN))):
        for namespace, revision in places[profile, run]:
            doubts[_Key(namespace, revision, profile, run, reason, "", "")] = doubt
    for row in ask(_OF_NUMBERS):
        doubts.update(_of_process(*row))
    if not profiles:
        doubts.update(_of_damages(store, gap))
    known = ask(_KNOWN)
    before = {_Key(*row[:7]): _Doubt(*row[7:12]) for row in known}
    settled = {_Key(*row[:7]) for row in known if row[12]}  # the spans that it was found by are dropped, or will be
    over = {
        key: _Doubt(0, 0, "", doubt.first_seen, doubt.exemplar_trace_id)
        for key, doubt in before.items()
        if key not in doubts and doubt.found and key not in settled and key.reason != _DAMAGED_RECORD
    }
    news = {key: doubt for key, doubt in {**doubts, **over}.items() if before.get(key) != doubt and key not in settled}
    store.insert(TABLE, _COLUMNS, [(*key, *doubt) for key, doubt in news.items()])


def _of_windows(doubted: Sequence[Doubted]) -> Iterator[tuple[str, str, _Doubt, str]]:
    groups: dict[tuple[str, str, str], list[Doubted]] = defaultdict(list)
    for each in doubted:
        is_ambiguous = len(each.holders) > 1
        for run in {*each.holders, each.run} if is_ambiguous else each.holders:
            groups[each.profile, run, "ambiguous_window" if is_ambiguous else "outside_window"].append(each)
    for (profile, run, reason), traces in groups.items():
        detail = (
            f"{len(traces)} requests began while the windows of {' and '.join(traces[0].holders)} were open, so whose"
            " they are is not known; they are in a run of their own"
            if reason == "ambiguous_window"
            else f"{len(traces)} requests began just outside of its window, as where clocks differ, and count as within"
            " it"
        )
        began, trace = min(each.began for each in traces), min(each.trace for each in traces)
        yield profile, run, _Doubt(len(traces), 0, detail, began, trace), reason


def _of_open_windows(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, str, _Doubt, str]]:
    for profile, run, began in rows:
        detail = (
            "playback begin said that it began, and nothing how it ended: it is still being played, or its client was"
            " killed; `playback end` says how"
        )
        yield profile, run, _Doubt(1, 0, detail, began, ""), "not_reported"


def _of_damages(store: Store, gap: int) -> Mapping[_Key, _Doubt]:
    damages: dict[_Key, list[tuple[Any, ...]]] = defaultdict(list)
    for namespace, revision, profile, run, damage in store.query(_OF_DAMAGES, {"gap": gap}).rows:
        found = tuple(damage.values()) if isinstance(damage, Mapping) else tuple(damage)
        damages[_Key(namespace, revision, profile, run, _DAMAGED_RECORD, found[1], "")].append(found)
    doubts = {}
    for key, records in damages.items():
        service = f" of service {key.service}" if key.service else ""
        while_played = "damaged while it was played, or shortly before or after; whose spans"
        detail = counted(
            len(records),
            f"record of the spool{service} was {while_played} it held is not known",
            f"records of the spool{service} were {while_played} they held is not known",
        )
        first = min(records, key=lambda record: record[3:])
        doubts[key] = _Doubt(len(records), 0, detail, first[3], first[2])
    return doubts


def _of_process(
    namespace: str,
    revision: str,
    profile: str,
    service: str,
    process: str,
    seen: Sequence[Any],
    counts: Sequence[Any],
    is_older: bool,
) -> Iterator[tuple[_Key, _Doubt]]:
    """What a process lacks, by run. A number that is missing between two runs may be of either, and is in both."""
    missing: dict[str, int] = defaultdict(int)
    entries = [tuple(entry.values()) if isinstance(entry, Mapping) else tuple(entry) for entry in seen]
    reported = [tuple(each.values()) if isinstance(each, Mapping) else tuple(each) for each in counts]
    first = {run: (began, trace) for _, run, began, trace in reversed(entries)}
    last, of_last = (entries[0][0] - 1, entries[0][1]) if is_older else (0, entries[0][1])
    for number, run, *_ in entries:
        for doubted in {run, of_last} if number > last + 1 else ():
            missing[doubted] += number - last - 1
        last, of_last = number, run
    recorded = max((each[1] for each in reported), default=0)
    if recorded > last:
        missing[of_last] += recorded - last
    for run, number in missing.items():
        detail = (
            f"process {process} of service {service} recorded {number} requests, jobs and processes of it that never"
            " arrived; usually it was killed, or what it sent was refused"
        )
        key = _Key(namespace, revision, profile, run, "numbers_missing", service, process)
        yield key, _Doubt(number, number, detail, *first[run])
    lost: dict[str, int] = defaultdict(int)
    dropped = 0
    for _, upto, total in reported:
        if total > dropped:
            before = [run for number, run, *_ in entries if number <= upto]
            lost[before[-1] if before else entries[0][1]] += total - dropped
            dropped = total
    for run, number in lost.items():
        detail = f"process {process} of service {service} gave up {number} spans, which it could neither send nor keep"
        yield (
            _Key(namespace, revision, profile, run, "dropped", service, process),
            _Doubt(number, 0, detail, *first[run]),
        )
