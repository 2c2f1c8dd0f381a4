-- Function → profiles: which to replay after a change to it.
--
-- table: symbol, profile_count, profiles
SELECT symbol, module, qualname, line, profile_count, profiles, first_seen, last_seen, exemplar_trace_id
FROM symbol_profiles
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
ORDER BY module, line, qualname;
