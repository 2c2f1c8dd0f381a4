-- Functions that profiles execute at one of two revisions only.
--
-- A change is `certain` where all coverage of the other revision arrived and no profile failed there: else the function
-- may have been executed at both. Of what was lost, the profiles that executed it have to have been played again, too.
-- {base:String}  the revision to compare with
-- table: change, module, qualname, line, profiles, certain
WITH doubtful AS (
    SELECT DISTINCT toString(r.revision) AS revision
    FROM profile_runs AS r
    WHERE namespace = {namespace:String} AND revision IN ({base:String}, {revision:String}) AND counted
        AND (NOT complete OR outcome = 'failed')
),
played AS (
    SELECT groupUniqArray(toString(r.profile)) AS names
    FROM profile_runs AS r
    WHERE namespace = {namespace:String} AND revision = {revision:String} AND counted
)
SELECT change, module, qualname, line, profiles, first_seen, last_seen, exemplar_trace_id,
    toBool(if(change = 'lost', {revision:String}, {base:String}) NOT IN (SELECT revision FROM doubtful)
        AND (change = 'gained' OR hasAll((SELECT names FROM played), profiles))) AS certain
FROM revision_diff
WHERE namespace = {namespace:String} AND base = {base:String} AND revision = {revision:String}
ORDER BY change, module, qualname;
