-- Services that executed something for a profile.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
SELECT toString(service) AS service, uniqExact(profile) AS profiles, uniqExact(trace, span) AS spans,
    min(started) AS first_seen, max(started) AS last_seen
FROM coverage_spans
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND role IN ('server', 'consumer', 'process')
GROUP BY service
ORDER BY service;
