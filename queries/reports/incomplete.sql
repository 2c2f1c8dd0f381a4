-- Requests and jobs whose coverage did not arrive whole, and why.
--
-- Those of runs that do not count change no figure. What is in doubt of a run as a whole is in it, too: runs of which
-- nothing arrived, or nothing of the playback client, and profiles that the newest run did not play.
-- table: profile, run, kind, name, service, arrived, counted, incomplete_detail
SELECT profile, run, kind, name, service, started, arrived, incomplete_reason, incomplete_detail, trace, span, counted,
    process, reported_by
FROM (
    SELECT *,
        toBool(
            run GLOBAL NOT IN (SELECT run FROM forgotten_runs) AND (
                (profile, run) GLOBAL NOT IN (SELECT profile, run FROM coverage_runs WHERE failed)
                OR (profile) GLOBAL NOT IN (
                    SELECT profile FROM succeeded_profiles
                    WHERE namespace = {namespace:String} AND revision = {revision:String}
                )
            )
        ) AS counted
    FROM missing_coverage
    WHERE namespace = {namespace:String} AND revision = {revision:String}
    UNION ALL
    SELECT namespace, revision, profile, run, 'request', request.1, '', '', request.2, false, 'no_server_span',
        incomplete_detail, request.3, request.4, '', counted
    FROM lost_runs
    ARRAY JOIN if(empty(requests), [('', first_seen, exemplar_trace_id, '')], requests) AS request
    WHERE namespace = {namespace:String} AND revision = {revision:String} AND revision != ''
    UNION ALL
    SELECT namespace, revision, profile, newest_run, 'profile', profile, '', '', first_seen, false, 'not_played',
        incomplete_detail, '', '', '', false
    FROM absent_profiles
    WHERE namespace = {namespace:String} AND revision = {revision:String}
)
ORDER BY NOT counted, profile, run, started, span;
