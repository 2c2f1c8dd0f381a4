-- Each profile in each run: outcome, whether it counts, requests, jobs, and what of its coverage is missing.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
-- {profile:String} = ''  empty: all profiles
SELECT profile, run, first_seen, last_seen, outcome, counts, requests, jobs, processes, missing, incomplete, complete,
    incomplete_reasons, incomplete_details, exemplar_trace_id
FROM profile_runs
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY first_seen, profile, run;
