-- Function → profiles: which to replay after a change to it.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
-- {module:String} = ''  empty: all modules
SELECT symbol, module, qualname, line, profile_count, profiles, first_seen, last_seen, exemplar_trace_id
FROM symbol_profiles
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
ORDER BY module, line, qualname;
