-- Which profiles were played in which runs, at which revisions: a row for each, however many requests there were. The
-- playback client knows no revision, so what it says of a run stands in a row of its own, under the empty revision.
CREATE TABLE IF NOT EXISTS coverage_runs (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    recorded SimpleAggregateFunction(max, Bool) COMMENT 'whether a request, job or process of it arrived, or that one began',
    covered SimpleAggregateFunction(max, Bool) COMMENT 'whether any coverage of it arrived, if only a part',
    passed SimpleAggregateFunction(max, Bool) COMMENT 'as the playback client reports',
    failed SimpleAggregateFunction(max, Bool) COMMENT 'as the playback client reports; once is enough',
    called SimpleAggregateFunction(max, Bool) COMMENT 'whether a request of the playback client arrived',
    planned SimpleAggregateFunction(max, UInt32) COMMENT 'steps that the playback client set out to play; 0: it did not say',
    ended SimpleAggregateFunction(max, Bool) COMMENT 'whether the playback client said how many it played',
    played SimpleAggregateFunction(max, UInt32) COMMENT 'steps that the playback client played',
    evidence SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'what tells the run: client (its run id came with the spans), window (playback begin and end), gap',
    first_seen SimpleAggregateFunction(min, DateTime64(9, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(9, 'UTC')),
    exemplar_trace_id SimpleAggregateFunction(min, String)
) ENGINE = AggregatingMergeTree
ORDER BY (namespace, revision, profile, run);
