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
    -- a row may also name profiles that do not count in its run, or are too old to be kept: then each is looked at
    SELECT s.*, if(all_count AND s.first_seen >= since, s.profiles,
        arrayFilter(profile -> has(counting, profile), s.profiles)) AS counted
    FROM coverage_by_symbol AS s
    GLOBAL LEFT ANY JOIN (
        SELECT namespace, revision, run,
            min(first_seen) AS since,
            min(counts) AS all_count,
            groupArrayIf(toString(profile), counts) AS counting
        FROM (
            SELECT namespace, revision, run, profile, first_seen,
                (namespace, revision, profile, run) GLOBAL NOT IN (
                    SELECT namespace, revision, profile, run FROM uncounted_runs
                ) AS counts
            FROM coverage_runs
            WHERE covered
        )
        GROUP BY namespace, revision, run
    ) AS r USING (namespace, revision, run)
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
