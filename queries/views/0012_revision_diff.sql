-- Functions that were executed at one revision and not at the other, for every pair of revisions; ask for one pair.
-- Lines are left out of the comparison: they move with every edit. `line`, times and exemplar are of the revision that
-- executes the function.
CREATE OR REPLACE VIEW revision_diff AS
WITH
    (SELECT arraySort(groupUniqArray((toString(profile), profile_hash))) FROM coverage_runs) AS names,
    revisions AS (SELECT DISTINCT namespace, revision FROM coverage_runs WHERE revision != '')
SELECT
    namespace, base, revision, module, qualname,
    if(max(c.in_base), 'lost', 'gained') AS change,
    min(c.line) AS line,
    arrayMap(
        place -> (names.1)[place],
        arraySort(arrayFilter(place -> place > 0, arrayMap(
            hash -> transform(hash, names.2, arrayEnumerate(names.2), 0),
            arrayDistinct(groupArrayArray(c.profile_hashes))
        )))
    ) AS profiles,
    min(c.first_seen) AS first_seen,
    max(c.last_seen) AS last_seen,
    min(c.exemplar_trace_id) AS exemplar_trace_id
FROM (
    SELECT e.namespace AS namespace, e.revision AS base, r.revision AS revision, e.module AS module,
        e.qualname AS qualname, e.line AS line, e.profile_hashes AS profile_hashes, e.first_seen AS first_seen,
        e.last_seen AS last_seen, e.exemplar_trace_id AS exemplar_trace_id, true AS in_base
    FROM executed_functions AS e
    GLOBAL INNER JOIN revisions AS r ON r.namespace = e.namespace
    WHERE r.revision != e.revision
    UNION ALL
    SELECT e.namespace, r.revision, e.revision, e.module, e.qualname, e.line, e.profile_hashes, e.first_seen,
        e.last_seen, e.exemplar_trace_id, false
    FROM executed_functions AS e
    GLOBAL INNER JOIN revisions AS r ON r.namespace = e.namespace
    WHERE r.revision != e.revision
) AS c
GROUP BY namespace, base, revision, module, qualname
HAVING max(c.in_base) != max(NOT c.in_base);
