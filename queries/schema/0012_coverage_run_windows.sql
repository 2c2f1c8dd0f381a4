-- When a client that knows only the header played a profile, as `playback begin`, `end` and `exec` say it: a row for each
-- of their calls. A request without a run id belongs to the run whose window holds its start. Nothing is corrected here:
-- a second begin, or an end without one, stays what it is.
CREATE TABLE IF NOT EXISTS coverage_run_windows (
    profile LowCardinality(String),
    run String,
    kind LowCardinality(String) COMMENT 'begin or end; forgotten: of all profiles of the run, as `store forget` says it',
    at DateTime64(6, 'UTC') COMMENT 'when it was said, by the clock of the machine that said it',
    outcome LowCardinality(String) COMMENT 'of an end: passed or failed; else empty',
    host String COMMENT 'the machine that said it',
    written DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'by the clock of the store'
) ENGINE = ReplacingMergeTree(written)
ORDER BY (profile, run, kind, at);
