-- The arcs of a profile, where branches were recorded: a row for each run, service and file. An arc leads from a line to
-- the one that ran after it; -7 is what lies outside of the code that begins on line 7. It is what coverage.py keeps in
-- branch mode, for its data files; no view shows it.
CREATE TABLE IF NOT EXISTS coverage_arcs (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    service LowCardinality(String),
    file String COMMENT 'path below the import root, e.g. shop/orders.py',
    arcs SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(before Int32, after Int32))),
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    exemplar_trace_id SimpleAggregateFunction(min, String)
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, profile, run, service, file);

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_arcs_mv TO coverage_arcs AS
SELECT
    namespace, revision, profile, run, service,
    entry.1 AS file,
    groupUniqArrayArray(entry.2) AS arcs,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM (
    SELECT namespace, revision, profile, run, service, started, trace, arrayJoin(coverage_intake.arcs) AS entry
    FROM coverage_intake
)
GROUP BY namespace, revision, profile, run, service, file;
