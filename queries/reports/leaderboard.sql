-- Profiles, those that execute the most functions first, and whether their coverage arrived whole.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT position, profile, functions, functions_covered, functions_total, percent, lines, runs, failed_runs, requests, jobs,
    complete, incomplete_reasons, first_seen, last_seen, exemplar_trace_id
FROM profile_leaderboard
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
ORDER BY position, profile;
