-- Services that executed something for a profile.
SELECT toString(service) AS service, uniqExact(profile) AS profiles, uniqExact(trace, span) AS spans,
    min(started) AS first_seen, max(started) AS last_seen
FROM coverage_spans
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND role IN ('server', 'consumer', 'process')
GROUP BY service
ORDER BY service;
