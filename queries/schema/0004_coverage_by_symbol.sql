-- The inverted index: for each function of a run, the profiles that executed it. It holds what coverage_functions holds,
-- in a hundredth of its rows, so that counting and comparing profiles is fast.
CREATE TABLE IF NOT EXISTS coverage_by_symbol (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    module LowCardinality(String),
    qualname String,
    line UInt32 COMMENT 'first line of the definition, decorators included',
    run String,
    profiles SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    exemplar_trace_id SimpleAggregateFunction(min, String)
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, module, qualname, line, run);
