-- Modules, those of which the most functions are executed first, and how many profiles reach them.
SELECT position, module, functions, functions_total, percent, profiles, first_seen, last_seen, exemplar_trace_id
FROM module_leaderboard
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY position, module;
