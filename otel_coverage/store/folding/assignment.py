"""The run of each trace that came without a run id, and what has changed since it was asked last."""
# ruff: noqa: S608 - names of our own; values are bound

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from otel_coverage.store.folding.doubts import TABLE as DOUBTS
from otel_coverage.store.folding.doubts import of_profiles
from otel_coverage.store.folding.settings import FoldSettings
from otel_coverage.store.store import Store
from otel_coverage.store.windows import TABLE as WINDOWS

UNASSIGNED = "coverage_unassigned"
ASSIGNMENTS = "coverage_assignments"
SETTLED_DAYS = 7  # that spans wait for what may change their run
FORGOTTEN_DAYS = 14  # after which nobody asks for the run of a trace any more

SECOND = 1_000_000_000  # in nanoseconds

_SPAN = "(span, started, duration, role, declared_functions, declared_lines)"  # what distinguishes spans

# Each trace that has a span here, or had one. Times are in nanoseconds since 1970.
_HELD = f"""
WITH
    staged AS (
        SELECT
            toString(u.profile) AS profile, trace,
            multiIf(
                countIf(u.parent = '') > 0, minIf(toUnixTimestamp64Nano(u.started), u.parent = ''),
                countIf(u.role = 'server') > 0, minIf(toUnixTimestamp64Nano(u.started), u.role = 'server'),
                min(toUnixTimestamp64Nano(u.started))
            ) AS began,
            greatest(began, maxIf(
                toUnixTimestamp64Nano(u.started) + toInt64(least(u.duration, 86400000000000)),
                u.role IN ('server', 'process')
            )) AS ended,
            sumDistinct(sipHash64{_SPAN}) AS digest, true AS here
        FROM {UNASSIGNED} AS u
        WHERE role != 'counts' AND {{of_profiles}}
        GROUP BY profile, trace
    ),
    assigned AS (
        SELECT toString(a.profile) AS profile, trace, argMax(a.run, a.written) AS run,
            argMax(toUnixTimestamp64Nano(a.began), a.written) AS began,
            argMax(toUnixTimestamp64Nano(a.ended), a.written) AS ended,
            argMax(a.digest, a.written) AS digest, max(a.written) AS since
        FROM {ASSIGNMENTS} AS a
        WHERE {{of_profiles}}
        GROUP BY profile, trace
    ),
    direct AS (
        SELECT toString(d.profile) AS profile, trace, min(d.run) AS run
        FROM coverage_spans AS d
        WHERE evidence = 'client' AND started >= (SELECT min(started) - toIntervalDay(1) FROM {UNASSIGNED})
            AND trace GLOBAL IN (SELECT trace FROM {UNASSIGNED} WHERE {{of_profiles}}) AND {{of_profiles}}
        GROUP BY profile, trace
    ),
    windows AS (
        SELECT profile, groupArray((w.first, w.last, w.run)) AS windows
        FROM (
            SELECT toString(r.profile) AS profile, run, toUnixTimestamp64Nano(toDateTime64(r.began, 9)) AS first,
                if(r.is_open, toUnixTimestamp64Nano(toDateTime64(r.last_began, 9)) + {{longest:Int64}},
                    toUnixTimestamp64Nano(toDateTime64(r.ended, 9))) AS last
            FROM run_windows AS r
            WHERE begins > 0 AND {{of_profiles}}
        ) AS w
        GROUP BY profile
    ),
    held AS (
        SELECT
            t.profile AS profile, t.trace AS trace, t.began AS began, t.ended AS ended, t.digest AS digest,
            t.is_staged AS is_staged, t.former AS former, t.former_digest AS former_digest, t.since AS since,
            d.run AS direct,
            arrayDistinct(arrayMap(x -> x.3, arrayFilter(x -> t.began BETWEEN x.1 AND x.2, w.windows))) AS inside,
            arrayDistinct(arrayMap(x -> x.3, arrayFilter(
                x -> t.began BETWEEN x.1 - {{skew:Int64}} AND x.2 + {{skew:Int64}}, w.windows
            ))) AS near,
            arraySort(if(notEmpty(inside), inside, near)) AS holders,
            multiIf(
                direct != '', (direct, 'client'),
                length(holders) = 1, (holders[1], 'window'),
                notEmpty(holders), (concat('ambiguous-', lower(hex(sipHash64(holders)))), 'window'),
                ('', 'gap')
            ) AS place
        FROM (
            SELECT
                if(s.here, s.profile, a.profile) AS profile, if(s.here, s.trace, a.trace) AS trace,
                if(s.here, s.began, a.began) AS began, if(s.here, s.ended, a.ended) AS ended,
                s.digest AS digest, s.here AS is_staged, a.run AS former, a.digest AS former_digest,
                a.since AS since
            FROM staged AS s
            GLOBAL FULL JOIN assigned AS a ON a.profile = s.profile AND a.trace = s.trace
        ) AS t
        GLOBAL LEFT JOIN windows AS w ON w.profile = t.profile
        GLOBAL LEFT JOIN direct AS d ON d.profile = t.profile AND d.trace = t.trace
    )
"""
# The sessions of those that are in no window, of all profiles. Traces whose spans were dropped stay in theirs.
_NAMED = """,
    sessions AS (
        SELECT *,
            row_number() OVER (PARTITION BY day, profile ORDER BY began, trace) = 1
                OR began - max(ended) OVER (
                    PARTITION BY day, profile ORDER BY began, trace ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ) > {gap:Int64} AS is_repeated
        FROM (
            SELECT *,
                max(if(is_first, began, 0)) OVER (ORDER BY began, profile, trace ROWS UNBOUNDED PRECEDING) AS session,
                session + intDiv(began - session, 86400000000000) * 86400000000000 AS day
            FROM (
                SELECT profile, trace, began, ended,
                    row_number() OVER (ORDER BY began, profile, trace) = 1
                        OR began - max(ended) OVER (
                            ORDER BY began, profile, trace ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                        ) > {gap:Int64} AS is_first
                FROM held
                WHERE place.2 = 'gap'
            )
        )
    ),
    named AS (
        SELECT profile, trace, concat(
            'gap-', formatDateTime(fromUnixTimestamp64Nano(day, 'UTC'), '%Y%m%dt%H%i%S'),
            if(number > 1, concat('.', toString(number)), '')
        ) AS run
        FROM (
            SELECT profile, trace, day,
                sum(is_repeated) OVER (
                    PARTITION BY day, profile ORDER BY began, trace ROWS UNBOUNDED PRECEDING
                ) AS number
            FROM sessions
        )
    )
"""
# Each trace that has a span here, with its run.
_PLACED = f""",
    placed AS (
        SELECT
            h.profile AS profile, h.trace AS trace, h.began AS began, h.ended AS ended, h.digest AS digest,
            h.former AS former, h.former_digest AS former_digest, h.direct AS direct, h.inside AS inside,
            h.holders AS holders,
            multiIf(
                -- a run of which spans were dropped, or that has others than those, cannot be derived anew: nothing
                -- leaves it
                former != '' AND (is_settled OR (profile, former) GLOBAL IN (
                    SELECT toString(r.profile), r.run FROM coverage_runs AS r
                    WHERE {{of_profiles}} AND (recorded OR covered) AND has(evidence, 'client')
                )), former,
                h.place.2 = 'gap', {{session}},
                h.place.1
            ) AS run,
            h.place.2 AS evidence
        FROM (
            SELECT *, max(NOT is_staged OR since < now64(6) - toIntervalDay({SETTLED_DAYS})) OVER (
                PARTITION BY profile, former
            ) AS is_settled
            FROM held
        ) AS h
        {{sessions}}
        WHERE h.is_staged
    )
"""
_SESSIONS = "GLOBAL LEFT JOIN named AS n ON n.profile = h.profile AND n.trace = h.trace"

# Traces that are not in the tables as they should be, those to derive anew, and those that windows leave in doubt.
_CHANGED = """
SELECT profile, trace, run, evidence, began, ended, digest, former,
    run != former OR digest != former_digest
        OR has(arrayZip({profiles:Array(String)}, {runs:Array(String)}), (profile, run)) AS is_changed,
    if(direct = '' AND (length(holders) > 1 OR empty(inside)), holders, []) AS doubted
FROM placed
WHERE is_changed OR notEmpty(doubted)
ORDER BY profile, trace
"""

# What there is of each profile, and what there was when it was folded last, which stands in the table of doubts,
# though it is not one. In the row without a profile is what concerns all of them.
FINGERPRINTS = f"""
WITH (
    -- a damaged record may be of any run, also of one that arrives later, with its run id
    SELECT count() FROM {UNASSIGNED}
    WHERE profile = '_damaged'
        AND started > (SELECT max(r.last_seen) FROM coverage_runs AS r) - toIntervalDay({FORGOTTEN_DAYS})
) AS damages
SELECT slug, toString(groupArray(state)) AS found, any(f.detail) AS folded
FROM (
    SELECT slug, state
    FROM (
        SELECT if(profile = '_damaged', '', toString(profile)) AS slug, 'spans' AS kind,
            toString((count(), sum(sipHash64{_SPAN}))) AS state
        FROM {UNASSIGNED}
        GROUP BY slug
        UNION ALL
        SELECT toString(profile) AS slug, 'windows', toString((count(), max(written)))
        FROM {WINDOWS}
        GROUP BY slug
        UNION ALL
        SELECT '', 'runs', toString((count(), max(r.last_seen))) FROM coverage_runs AS r WHERE damages > 0
    )
    ORDER BY slug, kind
) AS s
GLOBAL LEFT JOIN (
    SELECT toString(d.profile) AS slug, argMax(d.detail, d.written) AS detail
    FROM {DOUBTS} AS d
    WHERE reason = 'folded' AND run = ''
    GROUP BY slug
) AS f ON f.slug = s.slug
GROUP BY slug
"""

# Traces that are in no run, or of which spans came later than the run was found. A condition says whose.
_UNFOLDED = f"""
SELECT DISTINCT toString(s.profile) AS name
FROM (
    SELECT profile, trace, sumDistinct(sipHash64{_SPAN}) AS digest, {{condition}} AS is_asked
    FROM {UNASSIGNED}
    WHERE role != 'counts'
    GROUP BY profile, trace
    HAVING is_asked
) AS s
GLOBAL LEFT JOIN (
    SELECT profile, trace, argMax(a.digest, a.written) AS digest FROM {ASSIGNMENTS} AS a GROUP BY profile, trace
) AS f ON f.profile = s.profile AND f.trace = s.trace
WHERE f.digest != s.digest
ORDER BY name
"""
_AT_REVISION = "max(namespace = {namespace:String} AND revision = {revision:String})"
_OF_PROFILES = "profile GLOBAL IN (SELECT profile FROM coverage_runs WHERE run = {run:String})"


class Placed(NamedTuple):
    """A trace and its run.

    Attributes:
        profile: its slug.
        trace: its id.
        run: that it belongs to.
        evidence: what shows that, as in ``coverage_spans``.
        began: in nanoseconds since 1970.
        ended: the same.
        digest: of its spans that there are.
        former: the run that the tables have it in; empty for none.
        is_changed: whether run or spans are others than in the tables.
        doubted: runs that it may belong to as well.
    """

    profile: str
    trace: str
    run: str
    evidence: str
    began: int
    ended: int
    digest: int
    former: str
    is_changed: bool
    doubted: list[str]


def unfolded(store: Store, namespace: str, revision: str) -> list[str]:
    """Profiles with traces at a revision that no view has as a whole, as they are not folded yet; sorted.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
    """
    sql = _UNFOLDED.replace("{condition}", _AT_REVISION)
    return [profile for (profile,) in store.query(sql, {"namespace": namespace, "revision": revision}).rows]


def unfolded_profiles(store: Store, run: str) -> list[str]:
    """As :func:`unfolded`, for the profiles of a run, at any revision: their traces may be of it.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
    """
    sql = _UNFOLDED.replace("{condition}", _OF_PROFILES)
    return [profile for (profile,) in store.query(sql, {"run": run}).rows]


def concerned(store: Store, changed: Collection[str]) -> list[str]:
    """The profiles whose traces may be in other runs than before; empty for all: sessions are made of those of all."""
    if "" in changed:
        return []
    of_sessions = store.query(
        f"SELECT 1 FROM {ASSIGNMENTS} WHERE profile IN {{only:Array(String)}} AND evidence = 'gap' LIMIT 1",
        {"only": sorted(changed)},
    )
    return [] if of_sessions.rows else sorted(changed)


def found_traces(
    store: Store, settings: FoldSettings, profiles: Sequence[str], anew: Collection[tuple[str, str]] = ()
) -> list[Placed]:
    """What is to be done about traces of some profiles, or all; ``anew``: profiles in runs that are derived anew."""
    pairs = sorted(anew)
    bound = {
        "only": profiles,
        "gap": settings.gap * SECOND,
        "skew": settings.skew * SECOND,
        "longest": settings.longest * SECOND,
        "profiles": [profile for profile, _ in pairs],
        "runs": [run for _, run in pairs],
    }
    # sessions are of all profiles; without them, a statement takes the engine half as long to plan
    named, session, sessions = ("", "''", "") if profiles else (_NAMED, "n.run", _SESSIONS)
    placed = _PLACED.replace("{session}", session).replace("{sessions}", sessions)
    sql = of_profiles(_HELD + named + placed + _CHANGED, profiles)
    return [Placed(*row) for row in store.query(sql, bound).rows]
