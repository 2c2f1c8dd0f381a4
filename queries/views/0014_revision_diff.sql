-- Functions that were executed at one revision and not at the other, for every pair of revisions; ask for one pair.
-- Lines are left out of the comparison: they move with every edit. `line`, times and exemplar are of the revision that
-- executes the function.
CREATE OR REPLACE VIEW revision_diff AS
WITH
    others AS (SELECT DISTINCT namespace, revision AS other FROM coverage_runs WHERE revision != ''),
    executed AS (
        SELECT * FROM executed_functions GLOBAL INNER JOIN others USING (namespace) WHERE other != revision
    )
SELECT
    namespace, base, revision, module, qualname,
    if(max(c.in_base), 'lost', 'gained') AS change,
    min(c.line) AS line,
    arraySort(arrayDistinct(groupArrayArray(c.profiles))) AS profiles,
    min(c.first_seen) AS first_seen,
    max(c.last_seen) AS last_seen,
    min(c.exemplar_trace_id) AS exemplar_trace_id
FROM (
    SELECT e.* EXCEPT (revision, other), e.revision AS base, e.other AS revision, true AS in_base FROM executed AS e
    UNION ALL
    SELECT e.* EXCEPT (revision, other), e.other, e.revision, false FROM executed AS e
) AS c
GROUP BY namespace, base, revision, module, qualname
HAVING max(c.in_base) != max(NOT c.in_base);
