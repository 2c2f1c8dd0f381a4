-- Each profile in each run: when, how it went by the playback client's own word, whether it counts, and
-- whether its coverage arrived whole.
CREATE OR REPLACE VIEW profile_runs AS
SELECT
    p.namespace AS namespace, p.revision AS revision, p.profile AS profile, p.run AS run,
    p.first_seen AS first_seen,
    p.last_seen AS last_seen,
    o.outcome AS outcome,
    toBool((namespace, revision, profile, run) GLOBAL NOT IN (
        SELECT namespace, revision, profile, run FROM uncounted_runs
    )) AS counts,
    p.requests AS requests,
    p.jobs AS jobs,
    p.processes AS processes,
    p.missing AS missing,
    p.incomplete AS incomplete,
    toBool(incomplete = 0) AS complete,
    p.incomplete_reasons AS incomplete_reasons,
    p.exemplar_trace_id AS exemplar_trace_id
FROM (
    SELECT
        namespace, revision, profile, run,
        min(r.started) AS first_seen,
        max(r.started) AS last_seen,
        uniqExactIf(r.span_hash, r.kind = 'request') AS requests,
        uniqExactIf(r.span_hash, r.kind = 'job') AS jobs,
        uniqExactIf(r.span_hash, r.kind = 'process') AS processes,
        uniqExactIf(r.span_hash, NOT r.arrived) AS missing,
        uniqExactIf(r.span_hash, NOT r.complete) AS incomplete,
        arraySort(groupUniqArrayIf(r.incomplete_reason, NOT r.complete)) AS incomplete_reasons,
        min(r.trace) AS exemplar_trace_id
    FROM (
        SELECT namespace, revision, profile, run, kind, started, true AS arrived, complete, incomplete_reason, trace, span_hash
        FROM recorded_requests
        UNION ALL
        SELECT namespace, revision, profile, run, kind, started, false, false, incomplete_reason, trace, span_hash
        FROM missing_requests
    ) AS r
    GROUP BY namespace, revision, profile, run
) AS p
GLOBAL LEFT JOIN (
    -- one that failed once has failed
    SELECT profile, run, if(max(s.failed), 'failed', 'passed') AS outcome
    FROM coverage_runs AS s
    WHERE s.failed OR s.passed
    GROUP BY profile, run
) AS o ON o.profile = p.profile AND o.run = p.run;
