-- Which profiles were played in which runs, at which revisions: a row for each, however many requests there were. The
-- playback client knows no revision, so what it says of a run stands in a row of its own, under the empty revision.
CREATE TABLE IF NOT EXISTS coverage_runs (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    recorded SimpleAggregateFunction(max, Bool) COMMENT 'whether a request, job or process of it arrived',
    covered SimpleAggregateFunction(max, Bool) COMMENT 'whether any coverage of it arrived, if only a part',
    passed SimpleAggregateFunction(max, Bool) COMMENT 'as the playback client reports',
    failed SimpleAggregateFunction(max, Bool) COMMENT 'as the playback client reports; once is enough',
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    exemplar_trace_id SimpleAggregateFunction(min, String)
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, profile, run);
