-- The catalog: what the source tree defines at a revision, found without running it. A push writes all symbols of its
-- revision with one `pushed_at`; only those of the newest push count.
CREATE TABLE IF NOT EXISTS code_symbols (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    module LowCardinality(String),
    qualname String,
    line UInt32 COMMENT 'first line of the definition, decorators included',
    kind LowCardinality(String) COMMENT 'function or class',
    file LowCardinality(String) COMMENT 'path below the import root, e.g. shop/orders.py',
    end_line UInt32,
    executable_lines Array(UInt32),
    parent String COMMENT 'qualname of the class that holds it; empty where none does',
    digest String COMMENT 'of the definition''s text, wherever it stands',
    pushed_at DateTime64(6, 'UTC')
) ENGINE = ReplacingMergeTree(pushed_at)
ORDER BY (namespace, revision, module, qualname, line);
