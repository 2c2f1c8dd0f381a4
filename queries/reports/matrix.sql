-- Profile × function: what each profile executed.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {profile:String} = ''  all profiles, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, symbol, module, qualname, line, first_seen, last_seen, exemplar_trace_id
FROM coverage_matrix
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY profile, module, line, qualname;
