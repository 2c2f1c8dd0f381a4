-- Functions that come and go between runs of one profile: executed in some of them only.
--
-- table: profile > symbol, runs_with, runs
SELECT profile, symbol, module, qualname, line, runs_with, runs, runs_without, first_seen, last_seen, exemplar_trace_id
FROM symbol_flakiness
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY profile, module, line, qualname;
