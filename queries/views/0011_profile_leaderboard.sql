-- Profiles, those that execute the most functions first. Shares are of the catalog: the functions, and the lines in
-- functions, that the profile executes; NULL where no catalog was pushed for the revision. All but `runs` and
-- `failed_runs` is of the runs that count.
CREATE OR REPLACE VIEW profile_leaderboard AS
WITH
    runs AS (
        SELECT
            namespace, revision, profile,
            count() AS runs,
            countIf(r.outcome = 'failed') AS failed_runs,
            countIf(r.counted) AS counted_runs,
            sumIf(r.requests, r.counted) AS requests,
            sumIf(r.jobs, r.counted) AS jobs,
            sumIf(r.pending, r.counted) AS pending,
            sumIf(r.incomplete_requests, r.counted) AS incomplete_requests,
            min(r.complete OR NOT r.counted) AS complete,
            minMapIf(mapFromArrays(r.incomplete_reasons, r.incomplete_details), r.counted) AS reasons,
            minIf(r.first_seen, r.counted) AS first_seen,
            maxIf(r.last_seen, r.counted) AS last_seen,
            minIf(r.exemplar_trace_id, r.counted) AS exemplar_trace_id
        FROM profile_runs AS r
        GROUP BY namespace, revision, profile
    ),
    executed AS (
        -- by number, which is faster than by name
        SELECT namespace, revision, cityHash64(profile) AS number, count() AS functions,
            countIf(kind = 'function') AS functions_covered
        FROM executed_functions
        GLOBAL LEFT ANY JOIN symbol_catalog USING (namespace, revision, module, qualname, line)
        ARRAY JOIN profiles AS profile
        GROUP BY namespace, revision, number
    ),
    catalog AS (
        SELECT namespace, revision, file, count() AS functions, groupBitmapStateArray(executable_lines) AS executable
        FROM symbol_catalog
        WHERE kind = 'function'
        GROUP BY namespace, revision, file
    ),
    totals AS (
        SELECT namespace, revision, sum(functions) AS functions_total, sum(bitmapCardinality(executable)) AS lines_total
        FROM catalog
        GROUP BY namespace, revision
    ),
    lines AS (
        SELECT
            namespace, revision, profile,
            sum(bitmapCardinality(l.executed)) AS lines,
            sum(bitmapAndCardinality(l.executed, c.executable)) AS lines_covered
        FROM (
            SELECT namespace, revision, profile, file, groupBitmapStateArray(lines) AS executed
            FROM counted_lines
            GROUP BY namespace, revision, profile, file
        ) AS l
        GLOBAL LEFT JOIN catalog AS c USING (namespace, revision, file)
        GROUP BY namespace, revision, profile
    )
SELECT
    r.namespace AS namespace, r.revision AS revision, r.profile AS profile,
    rank() OVER (PARTITION BY namespace, revision ORDER BY functions DESC) AS position,
    functions, functions_total, functions_covered,
    if(functions_total = 0, NULL, round(100 * functions_covered / functions_total, 2)) AS percent,
    lines, lines_total, lines_covered,
    if(lines_total = 0, NULL, round(100 * lines_covered / lines_total, 2)) AS lines_percent,
    runs, failed_runs, counted_runs, requests, jobs, pending, incomplete_requests, complete,
    mapKeys(reasons) AS incomplete_reasons,
    mapValues(reasons) AS incomplete_details,
    first_seen, last_seen, exemplar_trace_id
FROM runs AS r
GLOBAL LEFT JOIN executed AS e
    ON e.namespace = r.namespace AND e.revision = r.revision AND e.number = cityHash64(toString(r.profile))
GLOBAL LEFT JOIN lines AS l ON l.namespace = r.namespace AND l.revision = r.revision AND l.profile = r.profile
GLOBAL LEFT JOIN totals AS t ON t.namespace = r.namespace AND t.revision = r.revision;
