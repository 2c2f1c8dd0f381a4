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
    exemplar_trace_id SimpleAggregateFunction(min, String) COMMENT 'one of the traces; the same whatever came first'
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, profile, run, service, module, qualname, line);

-- Numbers for what is otherwise compared name by name. Counting over millions of rows takes them; what is listed, and
-- what the catalog is compared with, goes by the names themselves.
ALTER TABLE coverage_functions ADD COLUMN IF NOT EXISTS
    symbol_hash UInt64 MATERIALIZED sipHash64(module, qualname, line) COMMENT 'of the function';
ALTER TABLE coverage_functions ADD COLUMN IF NOT EXISTS
    run_hash UInt64 MATERIALIZED sipHash64(namespace, revision, profile, run) COMMENT 'of the profile in its run';
