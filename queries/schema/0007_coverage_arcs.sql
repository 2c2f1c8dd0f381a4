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
