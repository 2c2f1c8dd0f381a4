-- Each profile in each run: when, how it went as the playback client reports, whether it counts, and whether its coverage
-- arrived whole, with an example for each reason why not. Where only parts arrived it did not. `evidence` is what tells the
-- run: its id came with the requests (client), or they began in its window (window), or after a gap in time (gap).
CREATE OR REPLACE VIEW profile_runs AS
SELECT
    namespace, revision, profile, run, first_seen, last_seen, outcome, evidence,
    toBool(run GLOBAL NOT IN (SELECT run FROM forgotten_runs) AND (
        outcome != 'failed' OR (namespace, revision, profile) GLOBAL NOT IN (
            SELECT namespace, revision, profile FROM succeeded_profiles
        )
    )) AS counted,
    requests, jobs, processes, missing, pending, incomplete_requests,
    toBool(empty(reasons) AND recorded) AS complete,
    mapKeys(reasons) AS incomplete_reasons,
    mapValues(reasons) AS incomplete_details,
    exemplar_trace_id
FROM (
    SELECT
        namespace, revision, profile, run,
        min(r.first_seen) AS first_seen,
        max(r.last_seen) AS last_seen,
        sumForEach(r.figures) AS sums,
        sums[1] AS requests, sums[2] AS jobs, sums[3] AS processes,
        -- those that a number stands for are among those with a name, as far as there are as many
        greatest(sums[4], sums[5]) AS missing,
        sums[6] AS pending,
        uniqExactIf((r.trace, r.span), r.span != '') + missing AS incomplete_requests,
        minMap(mapFromArrays(r.doubts.1, r.doubts.2)) AS reasons,
        max(r.recorded) AS recorded,
        -- each has one of coverage_runs
        minIf(r.trace, r.trace != '') AS exemplar_trace_id
    FROM (
        -- the figures: requests, jobs, processes, missing by name, missing by number, pending
        SELECT namespace, revision, profile, run, first_seen, last_seen,
            [p.requests, p.jobs, p.processes, 0, p.missing, 0] AS figures, doubts, '' AS trace, '' AS span, true AS recorded
        FROM recorded_processes AS p
        UNION ALL
        SELECT namespace, revision, profile, run, started, started, [0, 0, 0, 0, 0, 0],
            [(incomplete_reason, incomplete_detail)], trace, span, arrived
        FROM incomplete_entries
        UNION ALL
        SELECT namespace, revision, profile, run, started, started, [0, 0, 0, 0, 0, 0],
            [(incomplete_reason, incomplete_detail)], trace, span, true
        FROM uncalled_jobs
        UNION ALL
        SELECT namespace, revision, profile, run, started, started, [0, 0, 0, 1, 0, 0],
            [(incomplete_reason, incomplete_detail)], trace, '', true
        FROM missing_requests
        UNION ALL
        SELECT namespace, revision, profile, run, started, started, [0, 0, 0, 0, 0, 1], [], trace, '', false
        FROM pending_requests
        UNION ALL
        SELECT namespace, revision, profile, run, first_seen, first_seen, [0, 0, 0, 0, 0, 0],
            [('several_revisions', incomplete_detail)], exemplar_trace_id, '', true
        FROM split_runs
        UNION ALL
        SELECT namespace, revision, profile, run, first_seen, first_seen, [0, 0, 0, 0, 0, 0],
            [(incomplete_reason, incomplete_detail)], exemplar_trace_id, '', true
        FROM unplayed_steps
        UNION ALL
        SELECT namespace, revision, profile, run, first_seen, first_seen, [0, 0, 0, 0, 0, 0],
            [(incomplete_reason, incomplete_detail)], exemplar_trace_id, '', true
        FROM unchecked_runs
        UNION ALL
        SELECT namespace, revision, profile, run, first_seen, first_seen, [0, 0, 0, 0, d.missing, 0],
            [(toString(reason), detail)], exemplar_trace_id, '', true
        FROM doubtful_runs AS d
        WHERE reason != 'outside_window'
        UNION ALL
        SELECT namespace, revision, profile, run, first_seen, first_seen, [0, 0, 0, 0, 0, 0], [('forgotten',
            'store forget took the run out, and spans of it arrived after that; it does not count, and can be forgotten once more'
            )], exemplar_trace_id, '', false
        FROM coverage_runs
        WHERE (recorded OR covered) AND run GLOBAL IN (SELECT run FROM forgotten_runs)
        UNION ALL
        SELECT namespace, revision, profile, run, first_seen, last_seen, [0, 0, 0, 0, 0, 0], [], exemplar_trace_id, '',
            recorded
        FROM coverage_runs
        WHERE recorded OR covered
    ) AS r
    GROUP BY namespace, revision, profile, run
) AS p
GLOBAL LEFT JOIN (
    -- one that failed once has failed
    SELECT profile, run, multiIf(max(s.failed), 'failed', max(s.passed), 'passed', '') AS outcome,
        groupUniqArrayArrayIf(s.evidence, s.recorded OR s.covered) AS known,
        multiIf(has(known, 'window'), 'window', has(known, 'gap'), 'gap', 'client') AS evidence
    FROM coverage_runs AS s
    GROUP BY profile, run
) AS o USING (profile, run);
