-- The functions that a profile executed: a row for each run, service and function, however often it ran.
CREATE TABLE IF NOT EXISTS coverage_functions (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    service LowCardinality(String),
    module LowCardinality(String),
    qualname String,
    line UInt32 COMMENT 'first line of the definition, decorators included',
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')) COMMENT 'start of the first span that executed it',
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'start of the last span that executed it',
    exemplar_trace_id SimpleAggregateFunction(min, String) COMMENT 'one of the traces: the least, so that order does not matter'
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, profile, run, service, module, qualname, line);
