-- A row for each span of a traced context; it outlives the raw span. A span that is delivered again replaces its row, so
-- numbers of spans are counted distinct (or with FINAL), never summed.
CREATE TABLE IF NOT EXISTS coverage_spans (
    namespace LowCardinality(String) COMMENT 'service.namespace: the services that share one source tree',
    revision LowCardinality(String) COMMENT 'vcs.ref.head.revision; empty on the playback client''s spans',
    profile LowCardinality(String) COMMENT 'playback.profile',
    run String COMMENT 'playback.run_id',
    trace String,
    span String,
    parent String COMMENT 'parent span in the same trace',
    name LowCardinality(String),
    role LowCardinality(String) COMMENT 'coverage.role: server, consumer, process, part, producer, client; else empty',
    service LowCardinality(String) COMMENT 'service.name',
    started DateTime64(9, 'UTC'),
    duration UInt64 COMMENT 'nanoseconds',
    status LowCardinality(String) COMMENT 'ok, error or unset, however the collector spells it',
    outcome LowCardinality(String) COMMENT 'playback.outcome, on the playback client''s root span: passed or failed',
    engine LowCardinality(String) COMMENT 'coverage.engine',
    granularity LowCardinality(String) COMMENT 'coverage.granularity',
    function_count UInt64 COMMENT 'functions that were read from this span',
    line_count UInt64 COMMENT 'lines that were read from this span',
    arc_count UInt64 COMMENT 'arcs that were read from this span',
    branch Bool COMMENT 'whether arcs were recorded, however many',
    complete Bool COMMENT 'whether all coverage that belongs on this span arrived on it',
    incomplete_reason LowCardinality(String) COMMENT 'a code: the recorder''s, or no_reason, no_coverage, counts_differ',
    incomplete_detail String COMMENT 'what happened, for people',
    session String MATERIALIZED if(run = '', trace, run) COMMENT 'the run, or the trace of a span without run id',
    call UInt64 MATERIALIZED sipHash64(trace, if(role IN ('client', 'producer'), span, parent))
        COMMENT 'a client or producer span and its children share one: what joins a call with its answer'
) ENGINE = ReplacingMergeTree
ORDER BY (namespace, revision, profile, run, trace, span);
