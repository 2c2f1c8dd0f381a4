-- Modules, those of which the most functions are executed first, with how many profiles reach them.
CREATE OR REPLACE VIEW module_leaderboard AS
SELECT
    e.namespace AS namespace, e.revision AS revision, e.module AS module,
    rank() OVER (PARTITION BY namespace, revision ORDER BY e.functions DESC) AS position,
    e.functions AS functions,
    c.functions_total AS functions_total,
    if(functions_total = 0, NULL, round(100 * c.functions_covered / functions_total, 2)) AS percent,
    e.profiles AS profiles,
    e.first_seen AS first_seen,
    e.last_seen AS last_seen,
    e.exemplar_trace_id AS exemplar_trace_id
FROM (
    SELECT
        namespace, revision, module,
        sum(p.functions) AS functions,
        sum(p.profiles) AS profiles,
        min(p.first_seen) AS first_seen,
        max(p.last_seen) AS last_seen,
        min(p.exemplar_trace_id) AS exemplar_trace_id
    FROM (
        SELECT
            namespace, revision, module, count() AS functions, 0 AS profiles,
            min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen, min(f.exemplar) AS exemplar_trace_id
        FROM (
            SELECT
                namespace, revision, symbol_hash, any(c.module) AS module,
                min(c.first_seen) AS first_seen, max(c.last_seen) AS last_seen, min(c.exemplar_trace_id) AS exemplar
            FROM counted_functions AS c
            GROUP BY namespace, revision, symbol_hash
        ) AS f
        GROUP BY namespace, revision, module
        UNION ALL
        SELECT namespace, revision, module, 0, count(), min(f.first_seen), max(f.last_seen), min(f.exemplar)
        FROM (
            SELECT
                namespace, revision, profile, module,
                min(c.first_seen) AS first_seen, max(c.last_seen) AS last_seen, min(c.exemplar_trace_id) AS exemplar
            FROM counted_functions AS c
            GROUP BY namespace, revision, profile, module
        ) AS f
        GROUP BY namespace, revision, module
    ) AS p
    GROUP BY namespace, revision, module
) AS e
GLOBAL LEFT JOIN (
    SELECT namespace, revision, module, count() AS functions_total, sum(s.functions_covered) AS functions_covered
    FROM symbol_coverage AS s
    WHERE kind = 'function'
    GROUP BY namespace, revision, module
) AS c ON c.namespace = e.namespace AND c.revision = e.revision AND c.module = e.module;
