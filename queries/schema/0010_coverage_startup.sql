-- The functions that services executed before their first request or job (OTEL_COVERAGE_STARTUP). They belong to no
-- profile, and stand in no other table: they tell gaps that run at start from those that never run. A start that executed
-- none has a row without a name.
CREATE TABLE IF NOT EXISTS coverage_startup (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    service LowCardinality(String),
    module LowCardinality(String),
    qualname String,
    line UInt32 COMMENT 'first line of the definition, decorators included',
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')) COMMENT 'the last start of a process that executed it'
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, service, module, qualname, line);
