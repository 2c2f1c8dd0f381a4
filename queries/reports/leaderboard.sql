-- Profiles, those that execute the most functions first, and whether their coverage arrived whole.
--
-- table: position, profile, functions, percent, lines_covered, lines_percent, runs, requests, jobs, complete
SELECT position, profile, functions,
    if(b.functions_total = 0, NULL, b.functions_covered) AS functions_covered,
    nullIf(b.functions_total, 0) AS functions_total,
    percent,
    -- who executes functions executes lines: without any, they were not recorded
    if(functions > 0 AND b.lines = 0, NULL, b.lines) AS lines,
    if(lines IS NULL OR b.lines_total = 0, NULL, b.lines_covered) AS lines_covered,
    nullIf(b.lines_total, 0) AS lines_total,
    if(lines IS NULL, NULL, b.lines_percent) AS lines_percent,
    runs, failed_runs, counted_runs, requests, jobs, complete, incomplete_reasons, incomplete_details, first_seen, last_seen,
    exemplar_trace_id, pending
FROM profile_leaderboard AS b
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY position, profile;
