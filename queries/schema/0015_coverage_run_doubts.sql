-- What folding found doubtful of runs that it put together: a row for each run, reason and process, of which the newest
-- counts; `found` is 0 where the doubt is over.
CREATE TABLE IF NOT EXISTS coverage_run_doubts (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    reason LowCardinality(String),
    service LowCardinality(String),
    process String,
    found UInt32 COMMENT 'how many requests, jobs or processes it concerns',
    missing UInt32 COMMENT 'how many of them are known to be lost, by number and not by name',
    detail String COMMENT 'what happened, for people',
    first_seen DateTime64(9, 'UTC'),
    exemplar_trace_id String,
    written DateTime64(6, 'UTC') DEFAULT now64(6)
) ENGINE = ReplacingMergeTree(written)
ORDER BY (namespace, revision, profile, run, reason, service, process);
