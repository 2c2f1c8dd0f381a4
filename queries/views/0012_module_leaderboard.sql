-- Modules, those of which the most functions are executed first, with how many profiles reach them.
CREATE OR REPLACE VIEW module_leaderboard AS
WITH
    executed AS (
        SELECT
            namespace, revision, module,
            count() AS functions,
            countIf(kind = 'function') AS functions_covered,
            uniqExactArray(arrayMap(profile -> cityHash64(profile), f.profiles)) AS profiles,
            min(f.first_seen) AS first_seen,
            max(f.last_seen) AS last_seen,
            min(f.exemplar_trace_id) AS exemplar_trace_id
        FROM executed_functions AS f
        GLOBAL LEFT ANY JOIN symbol_catalog USING (namespace, revision, module, qualname, line)
        GROUP BY namespace, revision, module
    ),
    catalog AS (
        SELECT namespace, revision, module, count() AS functions_total
        FROM symbol_catalog
        WHERE kind = 'function'
        GROUP BY namespace, revision, module
    )
SELECT
    namespace, revision, module,
    rank() OVER (PARTITION BY namespace, revision ORDER BY functions DESC) AS position,
    functions, functions_total,
    if(functions_total = 0, NULL, round(100 * functions_covered / functions_total, 2)) AS percent,
    profiles, first_seen, last_seen, exemplar_trace_id
FROM executed
GLOBAL LEFT JOIN catalog USING (namespace, revision, module);
