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
    -- a service that names no revision has the revision 'unknown'; the playback client runs at none
    if(ResourceAttributes['vcs.ref.head.revision'] = '' AND role NOT IN ('client', 'plan', 'played') AND outcome = '',
        'unknown', ResourceAttributes['vcs.ref.head.revision']) AS revision,
    SpanAttributes['playback.profile'] AS profile,
    SpanAttributes['playback.run_id'] AS run,
    TraceId AS trace,
    SpanId AS span,
    ParentSpanId AS parent,
    SpanName AS name,
    SpanAttributes['coverage.role'] AS role,
    ResourceAttributes['service.name'] AS service,
    -- a part says what its entry is
    multiIf(
        SpanAttributes['coverage.entry_kind'] IN ('request', 'job', 'command'), SpanAttributes['coverage.entry_kind'],
        role = 'server', 'request',
        role = 'consumer', 'job',
        role = 'process', 'command',
        ''
    ) AS kind,
    multiIf(
        SpanAttributes['coverage.entry_name'] != '', leftUTF8(SpanAttributes['coverage.entry_name'], 1000),
        role IN ('producer', 'pending'), leftUTF8(SpanAttributes['messaging.rq.function'], 1000),
        kind = '' OR role = 'part', '',
        SpanAttributes['http.route'] != '', leftUTF8(trimLeft(concat(
            coalesce(
                nullIf(SpanAttributes['http.request.method'], ''), nullIf(SpanAttributes['http.method'], ''), ''
            ), ' ', SpanAttributes['http.route']
        )), 1000),
        leftUTF8(SpanName, 1000)
    ) AS entry_point,
    leftUTF8(SpanAttributes['coverage.entry_point'], 2000) AS entry_symbol,
    SpanAttributes['coverage.process'] AS process,
    Timestamp AS started,
    toUInt64(Duration) AS duration,
    replaceOne(lower(StatusCode), 'status_code_', '') AS status,
    SpanAttributes['playback.outcome'] AS outcome,
    SpanAttributes['coverage.engine'] AS engine,
    SpanAttributes['coverage.granularity'] AS granularity,
    toUInt32OrZero(SpanAttributes['coverage.number']) AS number,
    toBool(lower(SpanAttributes['coverage.open']) = 'true') AS open,
    toBool(lower(SpanAttributes['coverage.closing']) = 'true') AS closing,
    toBool(lower(SpanAttributes['coverage.partial']) = 'true') AS partial,
    toUInt32OrZero(SpanAttributes['coverage.total_functions']) AS total_functions,
    toUInt32OrZero(SpanAttributes['coverage.total_lines']) AS total_lines,
    toUInt32OrZero(SpanAttributes['coverage.total_arcs']) AS total_arcs,
    toUInt32OrZero(SpanAttributes['coverage.total_parts']) AS total_parts,
    SpanAttributes['coverage.begun_role'] AS begun_role,
    toUInt32OrZero(SpanAttributes['coverage.recorded']) AS recorded,
    toUInt32OrZero(SpanAttributes['coverage.dropped']) AS dropped,
    toUInt32OrZero(SpanAttributes['playback.steps']) AS steps,
    -- what the run is known by; folding says it of spans that came without a run id
    if(run = '', '', 'client') AS evidence,
    lower(SpanAttributes['coverage.complete']) AS declared_complete,
    leftUTF8(SpanAttributes['coverage.incomplete_reason'], 64) AS declared_reason,
    leftUTF8(SpanAttributes['coverage.incomplete_detail'], 1000) AS declared_detail,
    SpanAttributes['coverage.function_count'] AS declared_functions,
    SpanAttributes['coverage.line_count'] AS declared_lines,
    SpanAttributes['coverage.arc_count'] AS declared_arcs,
    -- module:qualname@line; a pattern on the whole text would cost more than all the rest. A module may hold colons, as
    -- folders do, so the last one separates
    arrayDistinct(arrayFilter(
        text -> position(text, ':', 2) > 1 AND match(right(text, 14), '[^:]@[0-9]{1,9}$'),
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
    ) AS arc_chains,
    if(role != 'routes', [], arrayFilter(
        route -> length(route) = 5 AND route[1] IN ('request', 'job') AND route[3] != '',
        arrayMap(text -> JSONExtract(text, 'Array(String)'), if(startsWith(SpanAttributes['coverage.routes'], '{'),
            JSONExtract(SpanAttributes['coverage.routes'], 'values', 'Array(Tuple(stringValue String))').1,
            JSONExtract(SpanAttributes['coverage.routes'], 'Array(String)')))
    )) AS routes
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
    namespace, revision, profile, run, evidence, trace, span, parent, name, role, service, kind, entry_point, entry_symbol, process,
    started, duration, status, outcome, engine, granularity, number, open, closing, partial, total_functions, total_lines, total_arcs, total_parts,
    begun_role, recorded, dropped,
    length(functions) AS function_count,
    arraySum(file -> arraySum(r -> toUInt64(r.2 - r.1 + 1), file.2), files) AS line_count,
    arraySum(text -> countSubstrings(splitByChar(':', text)[-1], '/'), arc_chains) AS arc_count,
    toBool(declared_arcs != '') AS branch,
    toBool(incomplete_reason = '') AS complete,
    incomplete.1 AS incomplete_reason,
    incomplete.2 AS incomplete_detail
FROM coverage_intake
WHERE profile != '_startup' AND run != '';

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_functions_mv TO coverage_functions AS
WITH extract(function, '@([0-9]+)$') AS line_text
SELECT
    namespace, revision, profile, run, service,
    substring(function, 1, length(function) - position(reverse(function), ':')) AS module,
    substring(function, length(module) + 2, length(function) - length(module) - length(line_text) - 2) AS qualname,
    toUInt32OrZero(line_text) AS line,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM (
    SELECT namespace, revision, profile, run, service, started, trace, arrayJoin(functions) AS function
    FROM coverage_intake
    WHERE profile != '_startup' AND run != ''
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
    WHERE profile != '_startup' AND run != ''
)
GROUP BY namespace, revision, profile, run, service, file;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_runs_mv TO coverage_runs AS
SELECT
    namespace, revision, profile, run,
    max(role IN ('server', 'consumer', 'process', 'begun', 'counts')) AS recorded,
    max(notEmpty(functions) OR notEmpty(files)) AS covered,
    max(outcome = 'passed') AS passed,
    max(outcome = 'failed') AS failed,
    max(role = 'client') AS called,
    maxIf(steps, role = 'plan') AS planned,
    max(role = 'played') AS ended,
    maxIf(steps, role = 'played') AS played,
    groupUniqArray(toString(i.evidence)) AS evidence,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM coverage_intake AS i
WHERE profile != '_startup' AND run != '' AND (
    role IN ('server', 'consumer', 'process', 'begun', 'counts', 'client', 'plan', 'played')
    OR outcome IN ('passed', 'failed')
    OR notEmpty(functions) OR notEmpty(files)
)
GROUP BY namespace, revision, profile, run;

-- Which run a span without a run id belongs to depends on others of its trace and on windows, whatever comes first: it
-- waits here for `otel_coverage.store.folding`, which inserts it into coverage_intake under its run.
CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_unassigned_mv TO coverage_unassigned AS
SELECT *
FROM coverage_intake
WHERE profile != '_startup' AND run = '';

-- What runs at start is recorded under a name that is no profile's, and of which no other table knows.
-- A start in which nothing of the application ran is one function without a name: it was recorded.
CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_startup_mv TO coverage_startup AS
WITH extract(function, '@([0-9]+)$') AS line_text
SELECT
    namespace, revision, service,
    substring(function, 1, length(function) - position(reverse(function), ':')) AS module,
    substring(function, length(module) + 2, length(function) - length(module) - length(line_text) - 2) AS qualname,
    toUInt32OrZero(line_text) AS line,
    max(started) AS last_seen
FROM (
    SELECT namespace, revision, service, started,
        arrayJoin(if(role = 'startup' AND declared_functions IN ('', '0') AND empty(functions), [''], functions)) AS function
    FROM coverage_intake
    WHERE profile = '_startup'
)
GROUP BY namespace, revision, service, function;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_entry_points_mv TO coverage_entry_points AS
SELECT
    namespace, revision, run, service, kind, entry_point, symbol,
    groupUniqArray(toString(e.profile)) AS profiles,
    max(toDateTime(e.started)) AS last_seen
FROM (
    SELECT namespace, revision, run, service, kind, entry_point, profile, started, arrayJoin(functions) AS symbol
    FROM coverage_intake
    WHERE profile != '_startup' AND run != '' AND kind != '' AND entry_point != ''
) AS e
GROUP BY namespace, revision, run, service, kind, entry_point, symbol;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_entry_point_lines_mv TO coverage_entry_point_lines AS
SELECT
    namespace, revision, run, service, kind, entry_point,
    entry.1 AS file,
    profile,
    groupUniqArrayArray(entry.2) AS ranges,
    max(toDateTime(e.started)) AS last_seen
FROM (
    SELECT namespace, revision, run, service, kind, entry_point, profile, started, arrayJoin(files) AS entry
    FROM coverage_intake
    WHERE profile != '_startup' AND run != '' AND kind != '' AND entry_point != ''
) AS e
GROUP BY namespace, revision, run, service, kind, entry_point, file, profile;

CREATE MATERIALIZED VIEW IF NOT EXISTS code_routes_mv TO code_routes AS
SELECT
    namespace, revision, service,
    route[1] AS kind,
    leftUTF8(route[3], 1000) AS rule,
    leftUTF8(route[2], 32) AS method,
    leftUTF8(route[4], 1000) AS endpoint,
    leftUTF8(route[5], 2000) AS symbol,
    toDateTime64(r.started, 6) AS last_seen
FROM (
    SELECT namespace, revision, service, started, arrayJoin(routes) AS route
    FROM coverage_intake
    WHERE role = 'routes'
) AS r;
