-- Each profile in each run: when, how it went as the playback client reports, whether it counts, and whether its coverage
-- arrived whole, with an example for each reason why not. Where only parts arrived it did not.
CREATE OR REPLACE VIEW profile_runs AS
SELECT
    namespace, revision, profile, run, first_seen, last_seen, outcome,
    toBool((namespace, revision, profile, run) GLOBAL NOT IN (
        SELECT namespace, revision, profile, run FROM uncounted_runs
    )) AS counts,
    requests, jobs, processes, missing, incomplete,
    toBool(incomplete = 0 AND recorded) AS complete,
    mapKeys(reasons) AS incomplete_reasons,
    mapValues(reasons) AS incomplete_details,
    exemplar_trace_id
FROM (
    SELECT
        namespace, revision, profile, run,
        min(r.first_seen) AS first_seen,
        max(r.last_seen) AS last_seen,
        uniqExactIf((r.trace, r.span), r.kind = 'request') AS requests,
        uniqExactIf((r.trace, r.span), r.kind = 'job') AS jobs,
        uniqExactIf((r.trace, r.span), r.kind = 'process') AS processes,
        uniqExactIf((r.trace, r.span), NOT r.arrived) AS missing,
        uniqExactIf((r.trace, r.span), NOT r.complete) AS incomplete,
        minMapIf(map(r.incomplete_reason, r.incomplete_detail), NOT r.complete) AS reasons,
        max(r.recorded) AS recorded,
        min(r.trace) AS exemplar_trace_id
    FROM (
        SELECT namespace, revision, profile, run, kind, started AS first_seen, started AS last_seen, true AS arrived,
            complete, incomplete_reason, incomplete_detail, trace, span, true AS recorded
        FROM recorded_requests
        UNION ALL
        SELECT namespace, revision, profile, run, kind, started, started, false, false, incomplete_reason,
            incomplete_detail, trace, span, true
        FROM missing_requests
        UNION ALL
        SELECT namespace, revision, profile, run, '', first_seen, last_seen, true, true, '', '', exemplar_trace_id, '',
            recorded
        FROM coverage_runs
        WHERE recorded OR covered
    ) AS r
    GROUP BY namespace, revision, profile, run
) AS p
GLOBAL LEFT JOIN (
    -- one that failed once has failed
    SELECT profile, run, if(max(s.failed), 'failed', 'passed') AS outcome
    FROM coverage_runs AS s
    WHERE s.failed OR s.passed
    GROUP BY profile, run
) AS o USING (profile, run);
