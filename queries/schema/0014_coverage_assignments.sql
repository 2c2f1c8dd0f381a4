-- Which run each trace without a run id was put into, and which of its spans stand in the tables under that run. The
-- newest row of a trace counts.
CREATE TABLE IF NOT EXISTS coverage_assignments (
    profile LowCardinality(String),
    trace String,
    run String,
    evidence LowCardinality(String) COMMENT 'client, window or gap',
    began DateTime64(9, 'UTC') COMMENT 'when its root began',
    ended DateTime64(9, 'UTC') COMMENT 'when its root ended',
    digest UInt64 COMMENT 'of the spans that were put there',
    written DateTime64(6, 'UTC') DEFAULT now64(6)
) ENGINE = ReplacingMergeTree(written)
ORDER BY (profile, trace);
