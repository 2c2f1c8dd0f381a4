-- Each profile in each run: outcome, whether it counts, requests, jobs, and what of its coverage is missing.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {profile:String} = ''  all profiles, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, run, first_seen, last_seen, outcome, counts, requests, jobs, processes, missing, incomplete, complete,
    incomplete_reasons, exemplar_trace_id
FROM profile_runs
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY first_seen, profile, run;
