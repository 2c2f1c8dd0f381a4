-- Functions that come and go: executed in some runs of a profile at a revision and not in others. Only runs that did
-- not fail and whose coverage arrived whole are compared.
CREATE OR REPLACE VIEW symbol_flakiness AS
SELECT
    f.namespace AS namespace, f.revision AS revision, f.profile AS profile,
    f.module AS module, f.qualname AS qualname, f.line AS line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    length(f.runs_with) AS runs_with,
    length(f.runs) AS runs,
    arraySort(arrayFilter(run -> NOT has(f.runs_with, run), f.runs)) AS runs_without,
    f.first_seen AS first_seen,
    f.last_seen AS last_seen,
    f.exemplar_trace_id AS exemplar_trace_id
FROM (
    SELECT
        c.namespace AS namespace, c.revision AS revision, c.profile AS profile,
        c.module AS module, c.qualname AS qualname, c.line AS line,
        any(r.runs) AS runs,
        groupUniqArray(c.run) AS runs_with,
        min(c.first_seen) AS first_seen,
        max(c.last_seen) AS last_seen,
        min(c.exemplar_trace_id) AS exemplar_trace_id
    FROM (
        SELECT * FROM coverage_functions
        WHERE (namespace, revision, profile) GLOBAL IN (
            -- what ran once neither comes nor goes
            SELECT namespace, revision, profile FROM coverage_runs
            WHERE recorded
            GROUP BY namespace, revision, profile
            HAVING uniqExact(run) > 1
        )
    ) AS c
    GLOBAL INNER JOIN (
        SELECT namespace, revision, profile, groupArray(p.run) AS runs
        FROM profile_runs AS p
        WHERE complete AND outcome != 'failed'
        GROUP BY namespace, revision, profile
    ) AS r ON r.namespace = c.namespace AND r.revision = c.revision AND r.profile = c.profile
    WHERE has(r.runs, c.run)
    GROUP BY namespace, revision, profile, module, qualname, line
) AS f
WHERE length(f.runs_with) < length(f.runs);
