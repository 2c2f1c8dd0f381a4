-- What was played, or was to be expected, and is in no revision's coverage. A report about the newest revision names it.

-- Runs of which nothing arrived from any application. Whether they were played at the newest revision with coverage or
-- at one that is newer still, nobody knows: they stand beside the former where they began after it did, else beside ''.
-- They do not count once a later run of the profile arrived. The playback client need not know the namespace: a profile
-- then belongs to those that it was recorded in before, and one that never was to all.
CREATE OR REPLACE VIEW lost_runs AS
WITH
    recorded AS (
        SELECT namespace, revision, profile, min(r.first_seen) AS began, max(r.last_seen) AS ended
        FROM coverage_runs AS r
        WHERE recorded OR covered
        GROUP BY namespace, revision, profile
    ),
    newest AS (
        SELECT namespace, argMax(revision, ended) AS revision, argMax(began, ended) AS began
        FROM (SELECT namespace, revision, min(r.began) AS began, max(r.ended) AS ended FROM recorded AS r GROUP BY ALL)
        GROUP BY namespace
    ),
    profiles AS (
        SELECT profile, groupArray(toString(p.namespace)) AS namespaces
        FROM (SELECT DISTINCT namespace, profile FROM recorded) AS p
        GROUP BY profile
    ),
    unrecorded AS (
        SELECT *
        FROM coverage_runs
        WHERE run != '' AND run GLOBAL NOT IN (SELECT run FROM coverage_runs WHERE recorded OR covered)
            AND run GLOBAL NOT IN (SELECT run FROM forgotten_runs)
    ),
    lost AS (
        SELECT
            profile, run,
            max(toString(r.namespace)) AS own,
            min(r.first_seen) AS first_seen,
            max(r.last_seen) AS last_seen,
            multiIf(max(r.failed), 'failed', max(r.passed), 'passed', '') AS outcome,
            has(groupUniqArrayArray(r.evidence), 'window') AS has_window,
            min(r.exemplar_trace_id) AS exemplar_trace_id
        FROM unrecorded AS r
        GROUP BY profile, run
    ),
    calls AS (
        SELECT profile, run, groupUniqArray((toString(s.name), s.started, s.trace, s.span)) AS requests
        FROM coverage_spans AS s
        -- the whole key, so that of all spans only these are read
        WHERE role = 'client' AND (namespace, revision, profile, run) GLOBAL IN (
            SELECT namespace, revision, profile, run FROM unrecorded
        )
        GROUP BY profile, run
    ),
    placed AS (
        SELECT l.*, arrayJoin(multiIf(
            own != '', [own],
            notEmpty(p.namespaces), p.namespaces,
            (SELECT if(count() = 0, [''], groupArray(toString(n.namespace))) FROM newest AS n)
        )) AS namespace
        FROM lost AS l
        GLOBAL LEFT JOIN profiles AS p USING (profile)
    )
SELECT
    l.namespace AS namespace,
    if(l.first_seen > n.began, toString(n.revision), '') AS revision,
    l.profile AS profile, l.run AS run, l.first_seen AS first_seen, l.last_seen AS last_seen, l.outcome AS outcome,
    toBool(l.first_seen > r.newest) AS counted,
    length(c.requests) AS missing,
    arraySort(c.requests) AS requests,
    if(l.has_window,
        'nothing of it arrived within its window; usually its client did not send X-Profile-Trace with this profile, the application was started without `otel-coverage run` or OTEL_COVERAGE_ENABLED=1, asks for an OTEL_COVERAGE_TOKEN, sends to another collector, or clocks differ',
        'nothing of it arrived; usually the application was started without `otel-coverage run` or OTEL_COVERAGE_ENABLED=1, has another OTEL_COVERAGE_TOKEN, or sends to another collector'
    ) AS incomplete_detail,
    l.exemplar_trace_id AS exemplar_trace_id
FROM placed AS l
GLOBAL LEFT JOIN newest AS n ON n.namespace = l.namespace
GLOBAL LEFT JOIN (SELECT namespace, profile, max(ended) AS newest FROM recorded GROUP BY ALL) AS r
    ON r.namespace = l.namespace AND r.profile = l.profile
GLOBAL LEFT JOIN calls AS c ON c.profile = l.profile AND c.run = l.run;

-- Profiles that the newest run of a revision did not play, though the one before did: the last earlier run, at any
-- revision, that has a profile in common with it. What runs in between played was played.
CREATE OR REPLACE VIEW absent_profiles AS
WITH
    runs AS (
        SELECT namespace, revision, run, began, played
        FROM (
            SELECT namespace, revision, run, min(r.first_seen) AS began
            FROM coverage_runs AS r
            WHERE run != '' AND recorded AND run GLOBAL NOT IN (SELECT run FROM forgotten_runs)
            GROUP BY namespace, revision, run
        ) AS b
        GLOBAL INNER JOIN (
            SELECT run, groupUniqArray(toString(r.profile)) AS played FROM coverage_runs AS r GROUP BY run
        ) AS p USING (run)
    ),
    newest AS (
        SELECT namespace, revision, argMax((run, began, played), (began, run)) AS run
        FROM runs
        GROUP BY namespace, revision
    )
SELECT
    namespace, revision,
    arrayJoin(arrayFilter(profile -> NOT has(arrayFlatten(since.3), profile), earlier[before].3)) AS profile,
    run.1 AS newest_run,
    earlier[before].2 AS last_run,
    format('run {} played it, and the newest run, {}, did not', last_run, newest_run) AS incomplete_detail,
    run.2 AS first_seen
FROM (
    SELECT
        n.namespace AS namespace, n.revision AS revision, n.run AS run,
        arrayReverseSort(groupArray((r.began, r.run, r.played))) AS earlier,
        arrayFirstIndex(each -> each.1 < n.run.2 AND hasAny(each.3, n.run.3), earlier) AS before,
        arraySlice(earlier, 1, before - 1) AS since
    FROM newest AS n
    GLOBAL INNER JOIN runs AS r ON r.namespace = n.namespace
    WHERE r.began <= n.run.2
    GROUP BY namespace, revision, run
)
WHERE before > 0;
