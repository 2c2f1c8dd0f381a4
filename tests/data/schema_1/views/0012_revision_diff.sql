-- Functions that were executed at one revision and not at the other, for every pair of revisions; ask for one pair.
-- Lines are left out of the comparison: they move with every edit.
CREATE OR REPLACE VIEW revision_diff AS
SELECT
    namespace, base, revision, module, qualname,
    if(max(c.in_base), 'lost', 'gained') AS change,
    arraySort(groupUniqArrayArray(c.profiles)) AS profiles
FROM (
    SELECT e.namespace AS namespace, e.revision AS base, r.revision AS revision, e.module AS module,
        e.qualname AS qualname, e.profiles AS profiles, true AS in_base
    FROM symbol_profiles AS e
    INNER JOIN (SELECT DISTINCT namespace, revision FROM coverage_functions) AS r ON r.namespace = e.namespace
    WHERE r.revision != e.revision
    UNION ALL
    SELECT e.namespace, r.revision, e.revision, e.module, e.qualname, e.profiles, false
    FROM symbol_profiles AS e
    INNER JOIN (SELECT DISTINCT namespace, revision FROM coverage_functions) AS r ON r.namespace = e.namespace
    WHERE r.revision != e.revision
) AS c
GROUP BY namespace, base, revision, module, qualname
HAVING max(c.in_base) != max(NOT c.in_base);
