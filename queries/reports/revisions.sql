-- Revisions that were traced, newest first.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
SELECT revision, min(started) AS first_seen, max(started) AS last_seen, uniqExact(profile) AS profiles,
    uniqExact(run) AS runs, uniqExact(trace, span) AS spans
FROM coverage_spans
WHERE namespace = {namespace:String} AND role IN ('server', 'consumer', 'process')
GROUP BY revision
ORDER BY last_seen DESC, revision;
