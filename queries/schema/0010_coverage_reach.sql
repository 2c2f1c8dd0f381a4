-- The functions that were executed, with the profiles that reach them: a row for each run and function. It holds what
-- coverage_functions does, turned round, a hundredth of its rows: counting and comparing profiles goes by these.
CREATE TABLE IF NOT EXISTS coverage_reach (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    module LowCardinality(String),
    qualname String,
    line UInt32 COMMENT 'first line of the definition, decorators included',
    run String,
    profiles SimpleAggregateFunction(groupUniqArrayArray, Array(UInt64)) COMMENT 'profile_hash of coverage_runs',
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    exemplar_trace_id SimpleAggregateFunction(min, String)
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, module, qualname, line, run);

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_reach_mv TO coverage_reach AS
SELECT
    namespace, revision, module, qualname, line, run,
    groupUniqArray(sipHash64(f.profile)) AS profiles,
    min(f.first_seen) AS first_seen,
    max(f.last_seen) AS last_seen,
    min(f.exemplar_trace_id) AS exemplar_trace_id
FROM coverage_functions AS f
GROUP BY namespace, revision, module, qualname, line, run;

-- what was there before this table
INSERT INTO coverage_reach (
    namespace, revision, module, qualname, line, run, profiles, first_seen, last_seen, exemplar_trace_id
)
SELECT namespace, revision, module, qualname, line, run, [sipHash64(profile)], first_seen, last_seen, exemplar_trace_id
FROM coverage_functions;
