-- The reverse index with profiles as numbers (profile_hash of coverage_runs), in no order: what counting goes by. Profiles
-- are those of runs that count; first_seen, last_seen and the exemplar are of any run in which the function was executed.
CREATE OR REPLACE VIEW executed_functions AS
SELECT
    namespace, revision, module, qualname, line,
    if(count() = 1, groupArrayArray(c.profiles), arrayDistinct(groupArrayArray(c.profiles))) AS profile_hashes,
    min(c.first_seen) AS first_seen,
    max(c.last_seen) AS last_seen,
    min(c.exemplar_trace_id) AS exemplar_trace_id
FROM (
    SELECT
        r.namespace AS namespace, r.revision AS revision, r.module AS module, r.qualname AS qualname, r.line AS line,
        if(empty(u.profiles), r.profiles, arrayFilter(hash -> NOT has(u.profiles, hash), r.profiles)) AS profiles,
        r.first_seen AS first_seen, r.last_seen AS last_seen, r.exemplar_trace_id AS exemplar_trace_id
    FROM coverage_reach AS r
    GLOBAL LEFT JOIN (
        SELECT namespace, revision, run, groupArray(sipHash64(profile)) AS profiles
        FROM uncounted_runs
        GROUP BY namespace, revision, run
    ) AS u ON u.namespace = r.namespace AND u.revision = r.revision AND u.run = r.run
) AS c
GROUP BY namespace, revision, module, qualname, line
HAVING max(notEmpty(c.profiles));

-- The reverse index: for each executed function, the profiles that execute it, in alphabetical order.
CREATE OR REPLACE VIEW symbol_profiles AS
WITH (SELECT arraySort(groupUniqArray((toString(profile), profile_hash))) FROM coverage_runs) AS names
SELECT
    namespace, revision, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    arrayMap(
        place -> (names.1)[place],
        -- 0 is a profile that is too old to be kept, in a run that others of are not
        arraySort(arrayFilter(
            place -> place > 0,
            arrayMap(hash -> transform(hash, names.2, arrayEnumerate(names.2), 0), profile_hashes)
        ))
    ) AS profiles,
    toUInt32(length(profiles)) AS profile_count,
    first_seen,
    last_seen,
    exemplar_trace_id
FROM executed_functions;
