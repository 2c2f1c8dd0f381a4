-- Profiles recorded with branches, and whether all of their lines were.
SELECT profile, countIf(line_count > 0 AND NOT branch) = 0 AS whole
FROM coverage_spans
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND (empty({services:Array(String)}) OR has({services:Array(String)}, toString(service)))
    AND (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs)
GROUP BY profile
HAVING countIf(branch) > 0
ORDER BY profile;
