-- Each executed function with the profiles that execute it, in no order: what counting and comparing read. Profiles are
-- those of runs that count; first_seen, last_seen and the exemplar are of any run in which the function was executed.
CREATE OR REPLACE VIEW executed_functions AS
SELECT
    namespace, revision, module, qualname, line,
    if(count() = 1, groupArrayArray(c.counted), arrayDistinct(groupArrayArray(c.counted))) AS profiles,
    min(c.first_seen) AS first_seen,
    max(c.last_seen) AS last_seen,
    min(c.exemplar_trace_id) AS exemplar_trace_id
FROM (
    SELECT s.*, if(empty(u.uncounted), s.profiles, arrayFilter(profile -> NOT has(u.uncounted, profile), s.profiles)) AS counted
    FROM coverage_by_symbol AS s
    GLOBAL LEFT ANY JOIN (
        SELECT namespace, revision, run, groupArray(toString(profile)) AS uncounted
        FROM uncounted_runs
        GROUP BY namespace, revision, run
    ) AS u USING (namespace, revision, run)
) AS c
GROUP BY namespace, revision, module, qualname, line
HAVING notEmpty(profiles);

-- The reverse index: the same, with profiles in alphabetical order.
CREATE OR REPLACE VIEW symbol_profiles AS
SELECT
    namespace, revision, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    arraySort(f.profiles) AS profiles,
    toUInt32(length(f.profiles)) AS profile_count,
    first_seen, last_seen, exemplar_trace_id
FROM executed_functions AS f;
