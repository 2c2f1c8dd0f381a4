-- What may be asked of the services of a revision: the routes of their URL maps, and the functions that were queued as
-- jobs, as their processes tell of themselves, traced or not. However many processes tell it, a route has one row.
CREATE TABLE IF NOT EXISTS code_routes (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    service LowCardinality(String),
    kind LowCardinality(String) COMMENT 'request or job',
    rule String COMMENT 'the route''s template with the prefixes of its blueprints and mounts; of a job its function',
    method LowCardinality(String) COMMENT 'GET, POST …, WEBSOCKET; empty where any is answered, and of a job',
    endpoint String COMMENT 'the framework''s name of the view',
    symbol String COMMENT 'of the view or job function: module:qualname@line; empty where it is not known',
    last_seen DateTime64(6, 'UTC') COMMENT 'when a process told it last'
) ENGINE = ReplacingMergeTree(last_seen)
ORDER BY (namespace, revision, service, kind, rule, method);
