-- Each profile in each run: outcome, whether it counts, requests, jobs, and what of its coverage is missing.
--
-- Runs of which nothing arrived are in it, too, and profiles that the newest run did not play.
-- table: profile, run, first_seen, evidence, outcome, counted, requests, jobs, missing, pending, complete
SELECT profile, run, first_seen, last_seen, outcome, counted, requests, jobs, processes, missing, pending, incomplete_requests,
    complete, incomplete_reasons, incomplete_details, exemplar_trace_id, evidence
FROM (
    SELECT profile, run, first_seen, last_seen, outcome, counted, requests, jobs, processes, missing,
        pending, incomplete_requests, complete, incomplete_reasons, incomplete_details, exemplar_trace_id, evidence
    FROM profile_runs
    WHERE namespace = {namespace:String} AND revision = {revision:String}
        AND ({profile:String} = '' OR profile = {profile:String})
    UNION ALL
    SELECT profile, run, first_seen, last_seen, outcome, counted, 0, 0, 0, missing, 0, missing, false, ['no_server_span'],
        [incomplete_detail], exemplar_trace_id, ''
    FROM lost_runs
    WHERE namespace = {namespace:String} AND revision = {revision:String} AND revision != ''
        AND ({profile:String} = '' OR profile = {profile:String})
    UNION ALL
    SELECT profile, newest_run, first_seen, first_seen, '', false, 0, 0, 0, 0, 0, 0, false, ['not_played'],
        [incomplete_detail], '', ''
    FROM absent_profiles
    WHERE namespace = {namespace:String} AND revision = {revision:String}
        AND ({profile:String} = '' OR profile = {profile:String})
)
ORDER BY first_seen, profile, run;
