-- Which functions ran under which entry point: a row for each run, entry point and function, with the profiles that
-- executed it there. An inverted index, so that it takes a tenth of what a row for each profile would.
CREATE TABLE IF NOT EXISTS coverage_entry_points (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    run String,
    service LowCardinality(String),
    kind LowCardinality(String) COMMENT 'request, job or command',
    entry_point LowCardinality(String) COMMENT 'a route with its method, a job''s function, a command',
    symbol String COMMENT 'the function: module:qualname@line',
    profiles SimpleAggregateFunction(groupUniqArrayArray, Array(String)),
    last_seen SimpleAggregateFunction(max, DateTime('UTC')) COMMENT 'start of the last span that executed it'
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, run, service, kind, entry_point, symbol);

-- The lines that ran under an entry point, as the ranges that arrived. Rows of one file are neighbours, whichever profile
-- they are of: what two profiles execute of it is much the same, and compresses to almost nothing.
CREATE TABLE IF NOT EXISTS coverage_entry_point_lines (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    run String,
    service LowCardinality(String),
    kind LowCardinality(String),
    entry_point LowCardinality(String),
    file String COMMENT 'path below the import root, e.g. shop/orders.py',
    profile LowCardinality(String),
    ranges SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(first UInt32, last UInt32))) CODEC(ZSTD(1)),
    last_seen SimpleAggregateFunction(max, DateTime('UTC'))
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, run, service, kind, entry_point, file, profile);
