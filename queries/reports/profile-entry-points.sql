-- Profile × route, job or command: how often each profile came there, how long it took, what ran under it.
--
-- Durations are in milliseconds, the exemplar is the trace of the slowest.
-- table: profile > entry_point, service, kind, requests, functions, p50_ms, p95_ms
WITH
    executed AS (
        SELECT service, kind, entry_point, arrayJoin(e.profiles) AS name, count() AS functions
        FROM symbol_entry_points AS e
        WHERE namespace = {namespace:String} AND revision = {revision:String}
        GROUP BY service, kind, entry_point, name
    ),
    requests AS (
        SELECT toString(s.profile) AS name, service, kind, entry_point, max(s.symbol) AS symbol, count() AS requests,
            quantilesExact(0.5, 0.95)(s.duration) AS durations, argMax(s.trace, (s.duration, s.trace)) AS exemplar_trace_id
        FROM entry_spans AS s
        WHERE namespace = {namespace:String} AND revision = {revision:String}
            AND ({profile:String} = '' OR s.profile = {profile:String})
        GROUP BY name, service, kind, entry_point
    )
SELECT r.name AS profile, r.service AS service, r.kind AS kind, r.entry_point AS entry_point, r.symbol AS symbol,
    r.requests AS requests, f.functions AS functions, round(r.durations[1] / 1e6, 3) AS p50_ms,
    round(r.durations[2] / 1e6, 3) AS p95_ms, r.exemplar_trace_id AS exemplar_trace_id
FROM requests AS r
GLOBAL LEFT ANY JOIN executed AS f ON r.service = f.service AND r.kind = f.kind AND r.entry_point = f.entry_point AND r.name = f.name
ORDER BY profile, service, kind, entry_point;
