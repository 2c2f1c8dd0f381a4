-- Which profiles were played in which runs, at which revisions: a row for each, however many requests there were. Whatever
-- brought coverage has one, and so has the playback client's word on the outcome, without revision: it knows of none.
CREATE TABLE IF NOT EXISTS coverage_runs (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    recorded SimpleAggregateFunction(max, Bool) COMMENT 'whether a request or job of it arrived',
    passed SimpleAggregateFunction(max, Bool) COMMENT 'by the playback client''s word',
    failed SimpleAggregateFunction(max, Bool) COMMENT 'by the playback client''s word; once is enough',
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    exemplar_trace_id SimpleAggregateFunction(min, String),
    profile_hash UInt64 MATERIALIZED sipHash64(profile) COMMENT 'what coverage_reach calls the profile'
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, profile, run);

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_runs_mv TO coverage_runs AS
SELECT
    namespace, revision, profile, run,
    max(role IN ('server', 'consumer', 'process')) AS recorded,
    max(outcome = 'passed') AS passed,
    max(outcome = 'failed') AS failed,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM coverage_intake
WHERE role IN ('server', 'consumer', 'process') OR outcome IN ('passed', 'failed')
    OR notEmpty(functions) OR notEmpty(files) OR notEmpty(arcs)
GROUP BY namespace, revision, profile, run;

-- what was there before this table
INSERT INTO coverage_runs (
    namespace, revision, profile, run, recorded, passed, failed, first_seen, last_seen, exemplar_trace_id
)
SELECT
    namespace, revision, profile, run,
    role IN ('server', 'consumer', 'process'), outcome = 'passed', outcome = 'failed', started, started, trace
FROM coverage_spans
WHERE role IN ('server', 'consumer', 'process') OR outcome IN ('passed', 'failed')
    OR function_count > 0 OR line_count > 0 OR arc_count > 0;
