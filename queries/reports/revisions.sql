-- Revisions that were traced, newest first.
SELECT revision, min(r.first_seen) AS first_seen, max(r.last_seen) AS last_seen, uniqExact(profile) AS profiles,
    uniqExact(run) AS runs
FROM coverage_runs AS r
WHERE namespace = {namespace:String} AND (recorded OR covered)
GROUP BY revision
ORDER BY last_seen DESC, revision;
