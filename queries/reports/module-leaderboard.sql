-- Modules, those of which the most functions are executed first, and how many profiles reach them.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT position, module, functions, functions_total, percent, profiles, first_seen, last_seen, exemplar_trace_id
FROM module_leaderboard
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
ORDER BY position, module;
