-- Functions that profiles execute at one of two revisions only.
--
-- {base:String}  the revision to compare with
-- {revision:String} = ''  the newest that was traced, when empty
-- {namespace:String} = ''  service.namespace: the services that share one source tree
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT change, module, qualname, line, profiles, first_seen, last_seen, exemplar_trace_id
FROM revision_diff
WHERE namespace = {namespace:String} AND base = {base:String}
    AND revision = if({revision:String} = '', newest, {revision:String})
ORDER BY change, module, qualname;
