-- Function → the routes, jobs and commands that lead to it, and under which profiles.
--
-- table: symbol > entry_point, service, kind, profiles
SELECT symbol, module, qualname, line, service, kind, entry_point, profiles
FROM symbol_entry_points
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
    AND ({profile:String} = '' OR has(profiles, {profile:String}))
ORDER BY module, line, qualname, service, kind, entry_point;
