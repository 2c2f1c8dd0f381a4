-- Modules, those of which the most functions are executed first, and how many profiles reach them.
--
-- table: position, module, functions, functions_total, percent, profiles
SELECT position, module, functions, nullIf(b.functions_total, 0) AS functions_total, percent, profiles, first_seen, last_seen, exemplar_trace_id
FROM module_leaderboard AS b
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY position, module;
