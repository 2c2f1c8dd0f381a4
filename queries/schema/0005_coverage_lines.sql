-- The lines that a profile executed: a row for each run, service and file.
--
-- They are kept as the ranges that arrived, so that an insert costs what its bytes cost, not what the numbers in them
-- span. `lines` is the one way from ranges to lines: sorted, each line once, so never more than the file has, however
-- many ranges overlap. Between two boundaries of ranges lie lines where at least one range is open.
CREATE TABLE IF NOT EXISTS coverage_lines (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    service LowCardinality(String),
    file String COMMENT 'path below the import root, e.g. shop/orders.py',
    ranges SimpleAggregateFunction(groupUniqArrayArray, Array(Tuple(first UInt32, last UInt32))),
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    exemplar_trace_id SimpleAggregateFunction(min, String),
    lines Array(UInt32) ALIAS arrayFlatten(arrayMap(
        boundaries -> arrayMap(
            (at, open, next) -> if(open > 0, range(at, next), []),
            boundaries.1,
            arrayCumSum(boundaries.2),
            arrayPushBack(arrayPopFront(boundaries.1), 0)
        ),
        [arraySort(arrayConcat(arrayMap(r -> (r.1, 1), ranges), arrayMap(r -> (r.2 + 1, -1), ranges)))]
    ))
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, profile, run, service, file);
