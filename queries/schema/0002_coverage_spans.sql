-- A row for each span of a traced context. It outlives the raw span. A span that is delivered again replaces itself, so
-- numbers of spans are counted distinct (or with FINAL), never summed.
CREATE TABLE IF NOT EXISTS coverage_spans (
    namespace LowCardinality(String) COMMENT 'service.namespace: the services that share one source tree',
    revision LowCardinality(String) COMMENT 'vcs.ref.head.revision',
    profile LowCardinality(String) COMMENT 'playback.profile',
    run String COMMENT 'playback.run_id',
    trace String,
    span String,
    parent String COMMENT 'span that this one is a child of, in this trace',
    name LowCardinality(String),
    role LowCardinality(String) COMMENT 'coverage.role: server, consumer, process, part, client, producer; else empty',
    service LowCardinality(String) COMMENT 'service.name',
    started DateTime64(9, 'UTC'),
    duration UInt64 COMMENT 'nanoseconds',
    status LowCardinality(String) COMMENT 'ok, error or unset, however the collector spells it',
    outcome LowCardinality(String) COMMENT 'playback.outcome, on the playback client''s own root span: passed or failed',
    engine LowCardinality(String) COMMENT 'coverage.engine',
    granularity LowCardinality(String) COMMENT 'coverage.granularity',
    function_count UInt64 COMMENT 'functions that were read from this span',
    line_count UInt64 COMMENT 'lines that were read from this span',
    complete Bool COMMENT 'whether all coverage that belongs on this span arrived on it',
    incomplete_reason String
) ENGINE = ReplacingMergeTree
ORDER BY (namespace, revision, profile, run, trace, span);

ALTER TABLE coverage_spans
    ADD COLUMN IF NOT EXISTS arc_count UInt64 COMMENT 'arcs that were read from this span',
    ADD COLUMN IF NOT EXISTS branch Bool COMMENT 'whether arcs were recorded, however many';

-- Numbers for what joins one span to another: a trace, a span in it, what it is a child of, and the session that it is
-- part of, which is its run, or where that has no id, its trace.
ALTER TABLE coverage_spans
    ADD COLUMN IF NOT EXISTS trace_hash UInt64 MATERIALIZED sipHash64(trace),
    ADD COLUMN IF NOT EXISTS span_hash UInt64 MATERIALIZED sipHash64(trace, span),
    ADD COLUMN IF NOT EXISTS parent_hash UInt64 MATERIALIZED sipHash64(trace, parent),
    ADD COLUMN IF NOT EXISTS session_hash UInt64 MATERIALIZED sipHash64(if(run = '', trace, run));
