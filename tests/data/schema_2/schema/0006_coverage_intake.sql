-- What is read out of a span, once; the tables' own views take it from here. It keeps nothing (engine Null).
--
-- The materialized view on otel_traces stands in other people's insert path, so it answers for any input: what is no
-- JSON, no symbol or no range is left out, nothing is written out in full that the value only names (1-4000000000), no
-- function in it can throw. A count that differs from what was read makes the span incomplete, in 0007.
CREATE TABLE IF NOT EXISTS coverage_intake (
    namespace LowCardinality(String),
    revision LowCardinality(String),
    profile LowCardinality(String),
    run String,
    trace String,
    span String,
    parent String,
    name LowCardinality(String),
    role LowCardinality(String),
    service LowCardinality(String),
    started DateTime64(9, 'UTC'),
    duration UInt64,
    status LowCardinality(String),
    outcome LowCardinality(String),
    engine LowCardinality(String),
    granularity LowCardinality(String),
    declared_complete String COMMENT 'coverage.complete as it came: true, false or nothing',
    declared_reason String,
    declared_functions String COMMENT 'coverage.function_count as it came',
    declared_lines String COMMENT 'coverage.line_count as it came',
    functions Array(String) COMMENT 'well-formed ids, module:qualname@line, each once',
    files Array(Tuple(file String, ranges Array(Tuple(first UInt32, last UInt32))))
) ENGINE = Null;

ALTER TABLE coverage_intake
    ADD COLUMN IF NOT EXISTS declared_arcs String COMMENT 'coverage.arc_count as it came',
    ADD COLUMN IF NOT EXISTS arcs Array(Tuple(file String, arcs Array(Tuple(before Int32, after Int32))));

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_intake_mv TO coverage_intake AS
WITH
    SpanAttributes['coverage.functions'] AS functions_json,
    SpanAttributes['coverage.lines'] AS lines_json,
    SpanAttributes['coverage.arcs'] AS arcs_json,
    -- otelcol writes an array as ["a","b"], Rotel as {"values":[{"stringValue":"a"},{"stringValue":"b"}]}
    if(startsWith(functions_json, '{'),
        JSONExtract(functions_json, 'values', 'Array(Tuple(stringValue String))').1,
        JSONExtract(functions_json, 'Array(String)')) AS function_texts,
    if(startsWith(lines_json, '{'),
        JSONExtract(lines_json, 'values', 'Array(Tuple(stringValue String))').1,
        JSONExtract(lines_json, 'Array(String)')) AS line_texts,
    if(startsWith(arcs_json, '{'),
        JSONExtract(arcs_json, 'values', 'Array(Tuple(stringValue String))').1,
        JSONExtract(arcs_json, 'Array(String)')) AS arc_texts,
    -- path:40-44,47; a path may hold colons, so the last one separates
    arrayFilter(text -> match(text, '^.+:[0-9]{1,7}(-[0-9]{1,7})?(,[0-9]{1,7}(-[0-9]{1,7})?)*$'), line_texts) AS line_sets,
    arrayMap(text -> toUInt64(length(text) - position(reverse(text), ':')), line_sets) AS path_lengths,
    -- path:-40/41/42/41,42/44/-40, where each number leads to the next; below zero: into and out of a function
    arrayFilter(
        text -> match(text, '^.+:-?[0-9]{1,7}(/-?[0-9]{1,7})+(,-?[0-9]{1,7}(/-?[0-9]{1,7})+)*$'),
        arc_texts
    ) AS arc_sets,
    arrayMap(text -> toUInt64(length(text) - position(reverse(text), ':')), arc_sets) AS arc_path_lengths
SELECT
    ResourceAttributes['service.namespace'] AS namespace,
    ResourceAttributes['vcs.ref.head.revision'] AS revision,
    SpanAttributes['playback.profile'] AS profile,
    SpanAttributes['playback.run_id'] AS run,
    TraceId AS trace,
    SpanId AS span,
    ParentSpanId AS parent,
    SpanName AS name,
    SpanAttributes['coverage.role'] AS role,
    ResourceAttributes['service.name'] AS service,
    Timestamp AS started,
    toUInt64(Duration) AS duration,
    replaceOne(lower(StatusCode), 'status_code_', '') AS status,
    SpanAttributes['playback.outcome'] AS outcome,
    SpanAttributes['coverage.engine'] AS engine,
    SpanAttributes['coverage.granularity'] AS granularity,
    lower(SpanAttributes['coverage.complete']) AS declared_complete,
    SpanAttributes['coverage.incomplete_reason'] AS declared_reason,
    SpanAttributes['coverage.function_count'] AS declared_functions,
    SpanAttributes['coverage.line_count'] AS declared_lines,
    -- module:qualname@line; a pattern on the whole text would cost more than all the rest
    arrayDistinct(arrayFilter(
        text -> position(text, ':') > 1 AND match(right(text, 14), '[^:]@[0-9]{1,9}$'),
        function_texts
    )) AS functions,
    -- no source file has a million lines: a range beyond is no range
    arrayFilter(file -> notEmpty(file.2), arrayMap(
        (text, path_length) -> (
            substring(text, 1, path_length),
            arrayFilter(r -> r.1 >= 1 AND r.1 <= r.2 AND r.2 <= 1000000, arrayMap(
                bounds -> (toUInt32OrZero(bounds[1]), toUInt32OrZero(bounds[-1])),
                arrayMap(r -> splitByChar('-', r), splitByChar(',', substring(text, path_length + 2)))
            ))
        ),
        line_sets,
        path_lengths
    )) AS files,
    SpanAttributes['coverage.arc_count'] AS declared_arcs,
    arrayFilter(file -> notEmpty(file.2), arrayMap(
        (text, path_length) -> (
            substring(text, 1, path_length),
            arrayFilter(arc -> abs(arc.1) <= 1000000 AND abs(arc.2) <= 1000000, arrayFlatten(arrayMap(
                walk -> arrayZip(arrayPopBack(walk), arrayPopFront(walk)),
                arrayMap(
                    numbers -> arrayMap(number -> toInt32OrZero(number), splitByChar('/', numbers)),
                    splitByChar(',', substring(text, path_length + 2))
                )
            )))
        ),
        arc_sets,
        arc_path_lengths
    )) AS arcs
FROM otel_traces
WHERE hasAny(mapKeys(SpanAttributes), ['playback.profile', 'coverage.functions', 'coverage.lines']);
