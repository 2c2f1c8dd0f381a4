-- Functions that come and go: executed in some runs of a profile at a revision and not in others. Only runs that did
-- not fail and whose coverage arrived whole are compared.
CREATE OR REPLACE VIEW symbol_flakiness AS
SELECT
    f.namespace AS namespace, f.revision AS revision, f.profile AS profile,
    f.module AS module, f.qualname AS qualname, f.line AS line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    length(f.runs) AS runs_with,
    length(r.runs) AS runs,
    arraySort(arrayFilter(run -> NOT has(f.runs, run), r.runs)) AS runs_without,
    f.first_seen AS first_seen,
    f.last_seen AS last_seen,
    f.exemplar_trace_id AS exemplar_trace_id
FROM (
    SELECT
        namespace, revision, profile, module, qualname, line,
        arrayDistinct(groupArray(c.run)) AS runs,
        min(c.first_seen) AS first_seen,
        max(c.last_seen) AS last_seen,
        min(c.exemplar_trace_id) AS exemplar_trace_id
    FROM coverage_functions AS c
    WHERE run_hash GLOBAL IN (
        -- what ran once neither comes nor goes
        SELECT sipHash64(namespace, revision, profile, arrayJoin(groupArray(p.run)))
        FROM profile_runs AS p
        WHERE complete AND outcome != 'failed'
        GROUP BY namespace, revision, profile
        HAVING count() > 1
    )
    GROUP BY namespace, revision, profile, module, qualname, line
) AS f
GLOBAL INNER JOIN (
    SELECT namespace, revision, profile, groupArray(p.run) AS runs
    FROM profile_runs AS p
    WHERE complete AND outcome != 'failed'
    GROUP BY namespace, revision, profile
) AS r ON r.namespace = f.namespace AND r.revision = f.revision AND r.profile = f.profile
WHERE length(f.runs) < length(r.runs);
