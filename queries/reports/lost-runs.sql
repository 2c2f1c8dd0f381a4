-- Runs since the newest revision's first of which nothing arrived, and whether the profile's next run made them good.
--
-- table: profile, run, first_seen, outcome, repeated, missing
SELECT profile, run, first_seen, last_seen, outcome, NOT counted AS repeated, missing, incomplete_detail, exemplar_trace_id
FROM lost_runs
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY first_seen, profile, run;
