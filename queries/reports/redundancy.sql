-- Profiles, those that add the least first: what only they reach, and which others each execute all that they do.
--
-- One that is not `complete` failed, or coverage of it is missing: it may reach more, and be contained in none.
WITH
    contained AS (
        SELECT namespace, revision, profile, arraySort(groupArray(toString(o.other))) AS others
        FROM profile_overlap AS o
        WHERE is_subset
        GROUP BY namespace, revision, profile
    ),
    played AS (
        SELECT namespace, revision, profile, min(NOT r.counted OR (r.complete AND r.outcome != 'failed')) AS is_complete
        FROM profile_runs AS r
        WHERE namespace = {namespace:String} AND revision = {revision:String}
        GROUP BY namespace, revision, profile
    )
SELECT r.profile AS profile, u.functions AS functions, u.unique_functions AS unique_functions, c.others AS contained_in,
    toBool(p.is_complete) AS complete
FROM (
    SELECT DISTINCT namespace, revision, profile
    FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision = {revision:String} AND (recorded OR covered)
) AS r
LEFT JOIN played AS p ON p.namespace = r.namespace AND p.revision = r.revision AND p.profile = r.profile
LEFT JOIN profile_unique AS u ON u.namespace = r.namespace AND u.revision = r.revision AND u.profile = r.profile
LEFT JOIN contained AS c ON c.namespace = r.namespace AND c.revision = r.revision AND c.profile = r.profile
ORDER BY unique_functions, functions, profile;
