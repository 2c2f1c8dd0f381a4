-- Profiles, those that execute the most functions first. `percent` is the share of the catalog's functions that the
-- profile executes, NULL where no catalog was pushed for the revision.
CREATE OR REPLACE VIEW profile_leaderboard AS
SELECT
    p.namespace AS namespace, p.revision AS revision, p.profile AS profile,
    rank() OVER (PARTITION BY namespace, revision ORDER BY functions DESC) AS position,
    sum(p.functions) AS functions,
    any(c.functions) AS functions_total,
    if(functions_total = 0, 0, functions - sum(p.functions_outside)) AS functions_covered,
    if(functions_total = 0, NULL, round(100 * functions_covered / functions_total, 2)) AS percent,
    sum(p.lines) AS lines,
    sum(p.runs) AS runs,
    sum(p.failed_runs) AS failed_runs,
    sum(p.requests) AS requests,
    sum(p.jobs) AS jobs,
    sum(p.incomplete) AS incomplete,
    toBool(runs > 0 AND incomplete = 0) AS complete,
    arraySort(groupUniqArrayArray(p.incomplete_reasons)) AS incomplete_reasons,
    min(p.first_seen) AS first_seen,
    max(p.last_seen) AS last_seen,
    min(p.exemplar_trace_id) AS exemplar_trace_id
FROM (
    SELECT
        namespace, revision, profile,
        uniqExact(f.symbol_hash) AS functions, 0 AS functions_outside, 0 AS lines,
        0 AS runs, 0 AS failed_runs, 0 AS requests, 0 AS jobs, 0 AS incomplete,
        CAST([], 'Array(String)') AS incomplete_reasons,
        min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen, min(f.exemplar_trace_id) AS exemplar_trace_id
    FROM counted_functions AS f
    GROUP BY namespace, revision, profile

    UNION ALL

    -- functions that the catalog does not hold: few, so that they are looked for instead of those that it holds
    SELECT
        namespace, revision, profile, 0, uniqExact(f.symbol_hash), 0, 0, 0, 0, 0, 0, [],
        min(f.first_seen), max(f.last_seen), min(f.exemplar_trace_id)
    FROM counted_functions AS f
    GLOBAL INNER JOIN (
        SELECT e.namespace AS namespace, e.revision AS revision, e.symbol_hash AS symbol_hash
        FROM (SELECT DISTINCT namespace, revision, symbol_hash FROM counted_functions) AS e
        GLOBAL LEFT ANTI JOIN (
            SELECT namespace, revision, sipHash64(module, qualname, line) AS symbol_hash FROM symbol_catalog
        ) AS s ON s.namespace = e.namespace AND s.revision = e.revision AND s.symbol_hash = e.symbol_hash
    ) AS o ON o.namespace = f.namespace AND o.revision = f.revision AND o.symbol_hash = f.symbol_hash
    GROUP BY namespace, revision, profile

    UNION ALL

    SELECT
        namespace, revision, profile, 0, 0, sum(length(l.numbers)), 0, 0, 0, 0, 0, [],
        min(l.first_seen), max(l.last_seen), min(l.exemplar_trace_id)
    FROM (
        SELECT namespace, revision, profile, file, groupUniqArrayArray(lines) AS numbers,
            min(first_seen) AS first_seen, max(last_seen) AS last_seen, min(exemplar_trace_id) AS exemplar_trace_id
        FROM counted_lines
        GROUP BY namespace, revision, profile, file
    ) AS l
    GROUP BY namespace, revision, profile

    UNION ALL

    SELECT
        namespace, revision, profile, 0, 0, 0, count(), countIf(r.outcome = 'failed'), sum(r.requests), sum(r.jobs),
        sumIf(r.incomplete, r.counts), arrayDistinct(arrayFlatten(groupArrayIf(r.incomplete_reasons, r.counts))),
        min(r.first_seen), max(r.last_seen), min(r.exemplar_trace_id)
    FROM profile_runs AS r
    GROUP BY namespace, revision, profile
) AS p
GLOBAL LEFT JOIN (
    SELECT namespace, revision, uniqExact(module, qualname, line) AS functions
    FROM symbol_catalog
    WHERE kind = 'function'
    GROUP BY namespace, revision
) AS c ON c.namespace = p.namespace AND c.revision = p.revision
GROUP BY namespace, revision, profile;
