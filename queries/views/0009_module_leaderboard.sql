-- Modules, those of which the most functions are executed first, with how many profiles reach them.
CREATE OR REPLACE VIEW module_leaderboard AS
SELECT
    e.namespace AS namespace, e.revision AS revision, e.module AS module,
    rank() OVER (PARTITION BY namespace, revision ORDER BY e.functions DESC) AS position,
    e.functions AS functions,
    c.functions AS functions_total,
    if(functions_total = 0, NULL, round(100 * e.functions_covered / functions_total, 2)) AS percent,
    e.profiles AS profiles,
    e.first_seen AS first_seen,
    e.last_seen AS last_seen,
    e.exemplar_trace_id AS exemplar_trace_id
FROM (
    SELECT
        namespace, revision, module,
        count() AS functions,
        countIf(s.kind = 'function') AS functions_covered,
        uniqExactArray(f.profile_hashes) AS profiles,
        min(f.first_seen) AS first_seen,
        max(f.last_seen) AS last_seen,
        min(f.exemplar_trace_id) AS exemplar_trace_id
    FROM executed_functions AS f
    GLOBAL LEFT ANY JOIN symbol_catalog AS s
        ON s.namespace = f.namespace AND s.revision = f.revision
        AND s.module = f.module AND s.qualname = f.qualname AND s.line = f.line
    GROUP BY namespace, revision, module
) AS e
GLOBAL LEFT JOIN (
    SELECT namespace, revision, module, uniqExact(qualname, line) AS functions
    FROM symbol_catalog
    WHERE kind = 'function'
    GROUP BY namespace, revision, module
) AS c ON c.namespace = e.namespace AND c.revision = e.revision AND c.module = e.module;
