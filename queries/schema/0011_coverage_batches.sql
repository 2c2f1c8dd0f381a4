-- What `otel-coverage collect` took from its log into otel_traces, batch by batch. A batch is written here before its
-- spans are inserted, and once more when all that was derived from them has been found in the other tables: a span of a
-- batch that is not whole may lack coverage. What was wrong with the log or its spans has rows of other kinds. Spans that
-- other collectors inserted have none.
CREATE TABLE IF NOT EXISTS coverage_batches (
    kind LowCardinality(String) COMMENT 'batch; import: spans of a file that `store import` inserted; conflict: different spans under one id, all kept; set_aside: spans that cannot be inserted; lost: records of the log that were damaged; torn: bytes at its end that were no whole record',
    batch String COMMENT 'the log''s name, and the numbers of its records',
    whole Bool COMMENT 'whether all of it was found in the tables',
    first UInt64 COMMENT 'number of the first record of the log',
    last UInt64 COMMENT 'number of the last one',
    spans UInt64 COMMENT 'number of spans; where it is not known, 0',
    written DateTime64(3, 'UTC') DEFAULT now64(3),
    keys Array(Tuple(trace String, span String, digest UInt64)) COMMENT 'its spans, the digest of their content',
    detail String COMMENT 'what happened, for people'
) ENGINE = ReplacingMergeTree(whole)
ORDER BY (kind, batch);
