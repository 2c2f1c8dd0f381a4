-- Functions that come and go: executed in some runs of a profile at a revision and not in others. Only runs that did
-- not fail and whose coverage arrived whole are compared.
CREATE OR REPLACE VIEW symbol_flakiness AS
WITH compared AS (
    SELECT namespace, revision, profile, groupArray(p.run) AS whole_runs
    FROM profile_runs AS p
    WHERE complete AND outcome != 'failed'
    GROUP BY namespace, revision, profile
)
SELECT
    namespace, revision, profile, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    uniqExact(f.run) AS runs_with,
    length(any(whole_runs)) AS runs,
    arraySort(arrayFilter(run -> NOT has(groupUniqArray(f.run), run), any(whole_runs))) AS runs_without,
    min(f.first_seen) AS first_seen,
    max(f.last_seen) AS last_seen,
    min(f.exemplar_trace_id) AS exemplar_trace_id
FROM (
    SELECT * FROM coverage_functions
    -- what ran once neither comes nor goes
    WHERE (namespace, revision, profile) GLOBAL IN (
        SELECT namespace, revision, profile FROM coverage_runs WHERE recorded GROUP BY ALL HAVING uniqExact(run) > 1
    )
) AS f
GLOBAL INNER JOIN compared USING (namespace, revision, profile)
WHERE has(whole_runs, f.run)
GROUP BY namespace, revision, profile, module, qualname, line
HAVING runs_with < runs;
