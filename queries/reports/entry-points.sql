-- Routes, jobs and commands: who asks for them, what runs under them, how long they take.
--
-- Durations are in milliseconds, the exemplar is the trace of the slowest.
-- table: service > kind > entry_point, requests, functions, lines, p50_ms, p95_ms, profiles
SELECT service, kind, entry_point, symbol, profiles, requests, functions, lines, p50_ms, p95_ms, exemplar_trace_id
FROM entry_points
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({profile:String} = '' OR has(profiles, {profile:String}))
ORDER BY service, kind, if(kind = 'request', substring(entry_point, position(entry_point, ' ') + 1), entry_point), entry_point;
