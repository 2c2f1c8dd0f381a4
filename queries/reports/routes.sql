-- What may be asked of each service: its URL map, and the functions that it queues as jobs, as its processes reported it.
--
-- table: service > kind > rule, method, endpoint, symbol
SELECT service, kind, rule, method, argMax(r.endpoint, r.last_seen) AS endpoint, argMax(r.symbol, r.last_seen) AS symbol,
    max(r.last_seen) AS last_seen
FROM code_routes AS r
WHERE namespace = {namespace:String} AND revision = {revision:String}
GROUP BY service, kind, rule, method
ORDER BY service, kind, rule, method;
