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
        sum(p.functions) AS functions,
        sum(p.functions_covered) AS functions_covered,
        sum(p.profiles) AS profiles,
        assumeNotNull(min(p.first_seen)) AS first_seen,
        assumeNotNull(max(p.last_seen)) AS last_seen,
        assumeNotNull(min(p.exemplar_trace_id)) AS exemplar_trace_id
    FROM (
        SELECT
            f.namespace AS namespace, f.revision AS revision, f.module AS module,
            count() AS functions, countIf(s.kind = 'function') AS functions_covered, 0 AS profiles,
            min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen, min(f.exemplar) AS exemplar_trace_id
        FROM (
            SELECT
                namespace, revision, symbol_hash, any(c.module) AS module,
                min(c.first_seen) AS first_seen, max(c.last_seen) AS last_seen, min(c.exemplar_trace_id) AS exemplar
            FROM counted_functions AS c
            GROUP BY namespace, revision, symbol_hash
        ) AS f
        GLOBAL LEFT ANY JOIN (
            SELECT namespace, revision, sipHash64(module, qualname, line) AS symbol_hash, kind FROM symbol_catalog
        ) AS s ON s.namespace = f.namespace AND s.revision = f.revision AND s.symbol_hash = f.symbol_hash
        GROUP BY namespace, revision, module
        UNION ALL
        SELECT
            namespace, revision, module, 0, 0, uniqExact(sipHash64(c.profile)), NULL, NULL, NULL
        FROM counted_functions AS c
        GROUP BY namespace, revision, module
    ) AS p
    GROUP BY namespace, revision, module
) AS e
GLOBAL LEFT JOIN (
    SELECT namespace, revision, module, uniqExact(qualname, line) AS functions
    FROM symbol_catalog
    WHERE kind = 'function'
    GROUP BY namespace, revision, module
) AS c ON c.namespace = e.namespace AND c.revision = e.revision AND c.module = e.module;
