-- Each profile in each run: outcome, whether it counts, requests, jobs, and what of its coverage is missing.
SELECT profile, run, first_seen, last_seen, outcome, counts, requests, jobs, processes, missing, incomplete, complete,
    incomplete_reasons, incomplete_details, exemplar_trace_id
FROM profile_runs
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR profile = {profile:String})
ORDER BY first_seen, profile, run;
