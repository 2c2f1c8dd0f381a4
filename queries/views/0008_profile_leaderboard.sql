-- Profiles, those that execute the most functions first. `percent` is the share of the catalog's functions that the
-- profile executes, NULL where no catalog was pushed for the revision.
CREATE OR REPLACE VIEW profile_leaderboard AS
SELECT
    p.namespace AS namespace, p.revision AS revision, p.profile AS profile,
    rank() OVER (PARTITION BY namespace, revision ORDER BY functions DESC) AS position,
    sum(p.functions) AS functions,
    sum(p.functions_of_catalog) AS functions_covered,
    any(c.functions) AS functions_total,
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
        count() AS functions, countIf(f.in_catalog) AS functions_of_catalog, 0 AS lines,
        0 AS runs, 0 AS failed_runs, 0 AS requests, 0 AS jobs, 0 AS incomplete,
        CAST([], 'Array(String)') AS incomplete_reasons,
        min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen, min(f.exemplar_trace_id) AS exemplar_trace_id
    FROM (
        SELECT m.*, s.kind != '' AS in_catalog
        FROM coverage_matrix AS m
        GLOBAL LEFT ANY JOIN symbol_coverage AS s USING (namespace, revision, module, qualname, line)
    ) AS f
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
    SELECT namespace, revision, count() AS functions
    FROM symbol_coverage
    WHERE kind = 'function'
    GROUP BY namespace, revision
) AS c ON c.namespace = p.namespace AND c.revision = p.revision
GROUP BY namespace, revision, profile;
