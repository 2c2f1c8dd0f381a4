-- Function → profiles: whom to replay after a change to it.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {module:String} = ''  all modules, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT symbol, module, qualname, line, profile_count, profiles, first_seen, last_seen, exemplar_trace_id
FROM symbol_profiles
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({module:String} = '' OR module = {module:String})
ORDER BY module, line, qualname;
