-- All that is known to be missing of one run, at whatever revision and in whatever namespace.
--
-- {run:String}  the run id
-- table: profile > kind, name, incomplete_reason, incomplete_detail, reported_by, process, started, trace
SELECT profile, kind, name, incomplete_reason, incomplete_detail, arrived, reported_by, process, started, trace, span,
    namespace, revision
FROM (
    SELECT profile, kind, name, incomplete_reason, incomplete_detail, arrived, reported_by, process, started, trace,
        span, namespace, revision
    FROM missing_coverage
    WHERE run = {run:String} AND NOT (kind = 'request' AND revision = '' AND run GLOBAL IN (SELECT run FROM lost_runs))
    UNION ALL
    SELECT DISTINCT profile, 'request', request.1, 'no_server_span', incomplete_detail, false, '', '', request.2,
        request.3, request.4, namespace, revision
    FROM lost_runs
    ARRAY JOIN if(empty(requests), [('', first_seen, exemplar_trace_id, '')], requests) AS request
    WHERE run = {run:String}
)
ORDER BY profile, started, kind, trace, span, incomplete_reason, revision;
