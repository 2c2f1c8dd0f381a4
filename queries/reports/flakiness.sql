-- Functions that come and go between runs of one profile: executed in some of them only.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {profile:String} = ''  all profiles, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, symbol, module, qualname, line, runs_with, runs, runs_without, first_seen, last_seen, exemplar_trace_id
FROM symbol_flakiness
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY profile, module, line, qualname;
