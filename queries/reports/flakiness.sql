-- Functions that come and go between runs of one profile: executed in some of them only.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {profile:String} = ''  empty: all profiles
SELECT profile, symbol, module, qualname, line, runs_with, runs, runs_without, first_seen, last_seen, exemplar_trace_id
FROM symbol_flakiness
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY profile, module, line, qualname;
