-- Profile × function: what each profile executed.
--
-- table: profile > symbol, last_seen
SELECT profile, symbol, module, qualname, line, first_seen, last_seen, exemplar_trace_id
FROM coverage_matrix
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY profile, module, line, qualname;
