-- Profile × function: what each profile executed.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
-- {profile:String} = ''  empty: all profiles
SELECT profile, symbol, module, qualname, line, first_seen, last_seen, exemplar_trace_id
FROM coverage_matrix
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY profile, module, line, qualname;
