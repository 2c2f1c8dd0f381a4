-- From otel_traces into the tables. The first of these views stands in other people's insert path, so it answers for any
-- input: what is not JSON, not a symbol or not a range is left out, no number is written out that a value only names
-- (1-4000000000), and no function in it can throw. A count that differs from what was read makes the span incomplete.
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
    arrayMap(text -> toUInt64(length(text) - position(reverse(text), ':')), line_sets) AS path_lengths
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
    leftUTF8(SpanAttributes['coverage.incomplete_reason'], 64) AS declared_reason,
    leftUTF8(SpanAttributes['coverage.incomplete_detail'], 1000) AS declared_detail,
    SpanAttributes['coverage.function_count'] AS declared_functions,
    SpanAttributes['coverage.line_count'] AS declared_lines,
    SpanAttributes['coverage.arc_count'] AS declared_arcs,
    -- module:qualname@line; a pattern on the whole text would cost more than all the rest
    arrayDistinct(arrayFilter(
        text -> position(text, ':') > 1 AND match(right(text, 14), '[^:]@[0-9]{1,9}$'),
        function_texts
    )) AS functions,
    -- no source file has a million lines
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
    arrayFilter(
        text -> match(text, '^.+:-?[0-9]{1,6}(/-?[0-9]{1,6})+(,-?[0-9]{1,6}(/-?[0-9]{1,6})+)*$'),
        arc_texts
    ) AS arc_chains
FROM otel_traces
WHERE hasAny(mapKeys(SpanAttributes), ['playback.profile', 'coverage.functions', 'coverage.lines']);

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_spans_mv TO coverage_spans AS
WITH multiIf(
    declared_complete NOT IN ('', 'true'),
        (if(declared_reason = '', 'no_reason', declared_reason), declared_detail),
    role IN ('server', 'consumer', 'process') AND declared_complete = '',
        ('no_coverage', 'no coverage arrived on the span'),
    if(declared_functions = '', '0', declared_functions) != toString(function_count),
        ('counts_differ', format('{} of {} functions arrived', toString(function_count), leftUTF8(declared_functions, 20))),
    if(declared_lines = '', '0', declared_lines) != toString(line_count),
        ('counts_differ', format('{} of {} lines arrived', toString(line_count), leftUTF8(declared_lines, 20))),
    if(declared_arcs = '', '0', declared_arcs) != toString(arc_count),
        ('counts_differ', format('{} of {} arcs arrived', toString(arc_count), leftUTF8(declared_arcs, 20))),
    ('', '')
) AS incomplete
SELECT
    namespace, revision, profile, run, trace, span, parent, name, role, service, started, duration, status, outcome,
    engine, granularity,
    length(functions) AS function_count,
    arraySum(file -> arraySum(r -> toUInt64(r.2 - r.1 + 1), file.2), files) AS line_count,
    arraySum(text -> countSubstrings(splitByChar(':', text)[-1], '/'), arc_chains) AS arc_count,
    toBool(declared_arcs != '') AS branch,
    toBool(incomplete_reason = '') AS complete,
    incomplete.1 AS incomplete_reason,
    incomplete.2 AS incomplete_detail
FROM coverage_intake;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_functions_mv TO coverage_functions AS
WITH extract(function, '@([0-9]+)$') AS line_text
SELECT
    namespace, revision, profile, run, service,
    substring(function, 1, position(function, ':') - 1) AS module,
    substring(function, length(module) + 2, length(function) - length(module) - length(line_text) - 2) AS qualname,
    toUInt32OrZero(line_text) AS line,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM (
    SELECT namespace, revision, profile, run, service, started, trace, arrayJoin(functions) AS function
    FROM coverage_intake
)
GROUP BY namespace, revision, profile, run, service, function;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_by_symbol_mv TO coverage_by_symbol AS
SELECT
    namespace, revision, module, qualname, line, run,
    groupUniqArray(toString(f.profile)) AS profiles,
    min(f.first_seen) AS first_seen,
    max(f.last_seen) AS last_seen,
    min(f.exemplar_trace_id) AS exemplar_trace_id
FROM coverage_functions AS f
GROUP BY namespace, revision, module, qualname, line, run;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_lines_mv TO coverage_lines AS
SELECT
    namespace, revision, profile, run, service,
    entry.1 AS file,
    groupUniqArrayArray(entry.2) AS ranges,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM (
    SELECT namespace, revision, profile, run, service, started, trace, arrayJoin(files) AS entry
    FROM coverage_intake
)
GROUP BY namespace, revision, profile, run, service, file;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_runs_mv TO coverage_runs AS
SELECT
    namespace, revision, profile, run,
    max(role IN ('server', 'consumer', 'process')) AS recorded,
    max(notEmpty(functions) OR notEmpty(files)) AS covered,
    max(outcome = 'passed') AS passed,
    max(outcome = 'failed') AS failed,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM coverage_intake
WHERE role IN ('server', 'consumer', 'process', 'client') OR outcome IN ('passed', 'failed')
    OR notEmpty(functions) OR notEmpty(files)
GROUP BY namespace, revision, profile, run;
