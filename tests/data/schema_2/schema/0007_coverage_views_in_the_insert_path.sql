-- From the intake into the tables, but for arcs: theirs is in 0008.
CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_spans_mv TO coverage_spans AS
SELECT
    namespace, revision, profile, run, trace, span, parent, name, role, service, started, duration, status, outcome,
    engine, granularity,
    length(functions) AS function_count,
    arraySum(file -> arraySum(r -> toUInt64(r.2 - r.1 + 1), file.2), files) AS line_count,
    multiIf(
        declared_complete NOT IN ('', 'true'), if(declared_reason = '', 'no reason given', declared_reason),
        role IN ('server', 'consumer', 'process') AND declared_complete = '', 'no coverage arrived on the span',
        if(declared_functions = '', '0', declared_functions) != toString(function_count),
            concat(toString(function_count), ' of ', leftUTF8(declared_functions, 20), ' functions arrived'),
        if(declared_lines = '', '0', declared_lines) != toString(line_count),
            concat(toString(line_count), ' of ', leftUTF8(declared_lines, 20), ' lines arrived'),
        if(declared_arcs = '', '0', declared_arcs) != toString(arc_count),
            concat(toString(arc_count), ' of ', leftUTF8(declared_arcs, 20), ' arcs arrived'),
        ''
    ) AS incomplete_reason,
    toBool(incomplete_reason = '') AS complete,
    arraySum(file -> length(file.2), arcs) AS arc_count,
    toBool(declared_arcs != '') AS branch
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
