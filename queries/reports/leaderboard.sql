-- Profiles, those that execute the most functions first, and whether their coverage arrived whole.
SELECT position, profile, functions, functions_covered, functions_total, percent, lines, lines_covered, lines_total,
    lines_percent, runs, failed_runs, requests, jobs, complete, incomplete_reasons, incomplete_details, first_seen,
    last_seen, exemplar_trace_id
FROM profile_leaderboard
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY position, profile;
