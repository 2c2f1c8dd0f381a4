-- Profiles, those that execute the most functions first. `percent` is the share of the catalog's functions that the
-- profile executes, NULL where no catalog was pushed for the revision.
CREATE OR REPLACE VIEW profile_leaderboard AS
SELECT
    p.namespace AS namespace, p.revision AS revision, p.profile AS profile,
    rank() OVER (PARTITION BY namespace, revision ORDER BY functions DESC) AS position,
    sum(p.functions) AS functions,
    any(c.functions) AS functions_total,
    sum(p.functions_covered) AS functions_covered,
    if(functions_total = 0, NULL, round(100 * functions_covered / functions_total, 2)) AS percent,
    sum(p.lines) AS lines,
    sum(p.runs) AS runs,
    sum(p.failed_runs) AS failed_runs,
    sum(p.requests) AS requests,
    sum(p.jobs) AS jobs,
    sum(p.incomplete) AS incomplete,
    toBool(runs > 0 AND incomplete = 0) AS complete,
    arraySort(groupUniqArrayArray(p.incomplete_reasons)) AS incomplete_reasons,
    assumeNotNull(min(p.first_seen)) AS first_seen,
    assumeNotNull(max(p.last_seen)) AS last_seen,
    assumeNotNull(min(p.exemplar_trace_id)) AS exemplar_trace_id
FROM (
    SELECT
        e.namespace AS namespace, e.revision AS revision, r.profile AS profile,
        e.numbers.2 AS functions, functions - e.outside[e.numbers.1] AS functions_covered, 0 AS lines,
        0 AS runs, 0 AS failed_runs, 0 AS requests, 0 AS jobs, 0 AS incomplete,
        CAST([], 'Array(String)') AS incomplete_reasons,
        NULL AS first_seen, NULL AS last_seen, NULL AS exemplar_trace_id
    FROM (
        SELECT
            namespace, revision,
            arrayJoin(CAST(
                countMap(mapFromArrays(f.profile_hashes, f.profile_hashes)), 'Array(Tuple(UInt64, UInt64))'
            )) AS numbers,
            countMapIf(mapFromArrays(f.profile_hashes, f.profile_hashes), s.kind != 'function') AS outside
        FROM executed_functions AS f
        GLOBAL LEFT ANY JOIN symbol_catalog AS s
            ON s.namespace = f.namespace AND s.revision = f.revision
            AND s.module = f.module AND s.qualname = f.qualname AND s.line = f.line
        GROUP BY namespace, revision
    ) AS e
    GLOBAL INNER ANY JOIN (SELECT namespace, revision, profile, profile_hash FROM coverage_runs) AS r
        ON r.namespace = e.namespace AND r.revision = e.revision AND r.profile_hash = e.numbers.1

    UNION ALL

    SELECT namespace, revision, profile, 0, 0, sum(l.covered), 0, 0, 0, 0, 0, [], NULL, NULL, NULL
    FROM (
        -- ranges may overlap and come twice: between two boundaries lie lines where one is open; they are not written out
        SELECT
            namespace, revision, profile,
            groupArrayArray(ranges) AS executed,
            arraySort(arrayConcat(
                arrayMap(r -> (r.1, 1), executed), arrayMap(r -> (r.2 + 1, -1), executed)
            )) AS boundaries,
            arraySum(
                (at, open, next) -> if(open > 0, next - at, 0),
                boundaries.1, arrayCumSum(boundaries.2), arrayPushBack(arrayPopFront(boundaries.1), 0)
            ) AS covered
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

    UNION ALL

    -- what arrived of requests that did not
    SELECT
        namespace, revision, profile, 0, 0, 0, 0, 0, 0, 0, 0, [],
        min(r.first_seen), max(r.last_seen), min(r.exemplar_trace_id)
    FROM coverage_runs AS r
    WHERE r.revision != ''
    GROUP BY namespace, revision, profile
) AS p
GLOBAL LEFT JOIN (
    SELECT namespace, revision, uniqExact(module, qualname, line) AS functions
    FROM symbol_catalog
    WHERE kind = 'function'
    GROUP BY namespace, revision
) AS c ON c.namespace = p.namespace AND c.revision = p.revision
GROUP BY namespace, revision, profile;
