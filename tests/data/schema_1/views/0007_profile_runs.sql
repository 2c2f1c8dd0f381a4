-- Each profile in each run: when, how it went by the playback client's own word, and whether its coverage arrived whole.
CREATE OR REPLACE VIEW profile_runs AS
SELECT
    r.namespace AS namespace, r.revision AS revision, r.profile AS profile, r.run AS run,
    min(r.started) AS first_seen,
    max(r.started) AS last_seen,
    max(o.outcome) AS outcome,
    countIf(r.kind = 'request') AS requests,
    countIf(r.kind = 'job') AS jobs,
    countIf(r.kind = 'process') AS processes,
    countIf(NOT r.arrived) AS missing,
    countIf(NOT r.complete) AS incomplete,
    toBool(incomplete = 0) AS complete,
    arraySort(groupUniqArrayIf(r.incomplete_reason, NOT r.complete)) AS incomplete_reasons,
    min(r.trace) AS exemplar_trace_id
FROM run_completeness AS r
LEFT JOIN (
    -- one that failed once has failed
    SELECT profile, run, min(toString(s.outcome)) AS outcome
    FROM coverage_spans AS s FINAL
    WHERE s.outcome IN ('failed', 'passed')
    GROUP BY profile, run
) AS o ON o.profile = r.profile AND o.run = r.run
GROUP BY namespace, revision, profile, run;
