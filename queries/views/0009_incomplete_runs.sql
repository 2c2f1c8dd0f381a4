-- Runs of which more than single requests is in doubt, or requests that no trace can name.

-- What each process recorded of a run: how many entries, and what it says of itself. An entry has a number among those
-- of its process, profile and run; a span of role `counts` says how many there were. Where the process came to be at
-- another revision meanwhile, its numbers are those of both, and what is missing is so at each.
CREATE OR REPLACE VIEW recorded_processes AS
SELECT
    namespace, revision, profile, run, service, process, requests, jobs, processes,
    toUInt64(if(o.found, o.expected - least(o.expected, o.numbered), expected - least(expected, numbered))) AS missing,
    dropped, distinct_spans - requests - jobs - processes AS doubled,
    arrayFilter(doubt -> doubt.2 != '', [
        ('numbers_missing', if(missing = 0, '', format('process {} of service {} recorded {} requests, jobs and processes, and {} of them never arrived; usually it was killed, or what it sent was refused', process, service, if(o.found, o.expected, expected), missing))),
        ('dropped', if(dropped = 0, '', format('process {} of service {} gave up {} spans, which it could neither send nor keep', process, service, dropped))),
        ('same_id', if(doubled = 0, '', format('spans of service {} that have the ids of others: {}', service, doubled)))
    ]) AS doubts,
    first_seen, last_seen, exemplar_trace_id
FROM (
    SELECT
        namespace, revision, profile, run, service, process,
        uniqExactIf(s.id, s.role = 'server') AS requests,
        uniqExactIf(s.id, s.role = 'consumer') AS jobs,
        uniqExactIf(s.id, s.role = 'process') AS processes,
        uniqExactIf((s.id, s.started, s.duration, s.function_count, s.line_count), s.role != 'counts') AS distinct_spans,
        greatest(max(s.number), max(s.recorded)) AS expected,
        groupBitmapIf(s.number, s.number > 0) AS numbered,
        max(s.dropped) AS dropped,
        min(s.started) AS first_seen,
        max(s.started) AS last_seen,
        min(s.trace) AS exemplar_trace_id
    FROM coverage_spans AS s
    WHERE role IN ('server', 'consumer', 'process', 'counts')
    GROUP BY namespace, revision, profile, run, service, process
) AS p
GLOBAL LEFT ANY JOIN (
    SELECT profile, run, process, true AS found, greatest(max(s.number), max(s.recorded)) AS expected,
        groupBitmapIf(s.number, s.number > 0) AS numbered
    FROM coverage_spans AS s
    WHERE role IN ('server', 'consumer', 'process', 'counts') AND process != ''
        AND (namespace, revision, profile, run) GLOBAL IN (
            SELECT namespace, arrayJoin(groupUniqArray(r.revision)) AS revision, profile, run
            FROM coverage_runs AS r
            WHERE run != '' AND recorded
            GROUP BY namespace, profile, run
            HAVING uniqExact(r.revision) > 1
        )
    GROUP BY profile, run, process
) AS o USING (profile, run, process);

-- Runs with traces of which one process was at another revision than the rest, as where a worker is not restarted: at each
-- of these revisions only a part of the run was recorded. A run id that is used again at another revision is no such run.
CREATE OR REPLACE VIEW split_runs AS
SELECT namespace, toLowCardinality(name) AS revision, profile, run, min(t.began) AS first_seen,
    min(t.trace) AS exemplar_trace_id,
    format('it was recorded at several revisions, {}; usually a process of the application was not restarted when code was deployed', arrayStringConcat(any(t.revisions), ' and ')) AS incomplete_detail
FROM (
    SELECT namespace, profile, run, trace, min(s.started) AS began, arraySort(groupUniqArray(toString(s.revision))) AS revisions
    FROM coverage_spans AS s
    WHERE role IN ('server', 'consumer', 'process')
        AND (namespace, revision, profile, run) GLOBAL IN (
            SELECT namespace, arrayJoin(groupUniqArray(r.revision)) AS revision, profile, run
            FROM coverage_runs AS r
            WHERE run != '' AND recorded
            GROUP BY namespace, profile, run
            HAVING uniqExact(r.revision) > 1
        )
    GROUP BY namespace, profile, run, trace
    HAVING length(revisions) > 1
) AS t
ARRAY JOIN t.revisions AS name
GROUP BY namespace, revision, profile, run;

-- Profiles of which what the playback client says and what arrived do not agree: the steps that it set out to play, which
-- were not all played or did not all arrive. It says how many when a run begins and when it ends; a step is a request.
-- They stand at the revisions that the profile was recorded at in that run, or else those of the run. Runs of which
-- nothing at all arrived are in lost_runs.
CREATE OR REPLACE VIEW unplayed_steps AS
SELECT
    -- of the same type as in the other parts of incomplete_runs, which ClickHouse 24.8 wants
    toLowCardinality(p.place.1) AS namespace, toLowCardinality(p.place.2) AS revision, p.profile AS profile, p.run AS run,
    p.first_seen AS first_seen, p.exemplar_trace_id AS exemplar_trace_id,
    multiIf(
        NOT p.recorded AND NOT p.called, 'not_recorded',
        NOT p.ended AND NOT p.passed AND NOT p.failed, 'not_reported',
        p.ended AND p.played < p.planned AND NOT p.failed, 'steps_not_played',
        requests < p.sent, 'steps_missing',
        ''
    ) AS incomplete_reason,
    multiIf(
        incomplete_reason = 'not_recorded', format('the playback client set out to play it, with {} steps, and nothing of it arrived', p.planned),
        incomplete_reason = 'not_reported', format('the playback client set out to play {} steps, and how that ended never arrived; it is still playing, or was killed', p.planned),
        incomplete_reason = 'steps_not_played', format('{} of {} steps were played', p.played, p.planned),
        format('{} of {} requests of the playback client arrived, so what the application did for the others is not known', requests, p.sent)
    ) AS incomplete_detail
FROM (
    SELECT session, profile, uniqExact(call) AS requests FROM coverage_spans WHERE role = 'client' GROUP BY session, profile
) AS c
GLOBAL RIGHT JOIN (
    SELECT *, sipHash64(run) AS session, if(ended, played, if(passed, planned, 0)) AS sent,
        arrayJoin(if(recorded, places, places_of_run)) AS place
    FROM (
        SELECT
            profile, run, max(e.planned) AS planned, max(e.ended) AS ended, max(e.played) AS played,
            max(e.passed) AS passed, max(e.failed) AS failed, max(e.recorded) AS recorded, max(e.called) AS called,
            min(e.first_seen) AS first_seen, min(e.exemplar_trace_id) AS exemplar_trace_id,
            groupUniqArrayIf((e.namespace, e.revision), e.recorded) AS places,
            groupUniqArrayArray(places) OVER (PARTITION BY run) AS places_of_run
        FROM coverage_runs AS e
        WHERE run != ''
        GROUP BY profile, run
    )
    WHERE planned > 0 OR ended
) AS p ON p.session = c.session AND p.profile = c.profile
WHERE incomplete_reason != ''
UNION ALL
-- Runs that reached the application and of which the playback client, which has played their profile in others, said
-- nothing at all: how they ended, and which of their requests are lost, nobody knows. A request that somebody sent by
-- hand has no parent.
SELECT namespace, revision, profile, run, min(s.started) AS first_seen, min(s.trace) AS exemplar_trace_id,
    'no_client_span' AS incomplete_reason,
    'no span of the playback client arrived, so how the run ended and whether requests are lost is not known; usually it sent to another collector' AS incomplete_detail
FROM coverage_spans AS s
WHERE role = 'server' AND parent != '' AND (namespace, revision, profile, run) GLOBAL IN (
    SELECT place.1, place.2, profile, run
    FROM (
        SELECT profile, run, groupUniqArrayIf((e.namespace, e.revision), e.recorded) AS places,
            max(e.passed OR e.failed) AS reported,
            max(e.passed OR e.failed OR e.called OR e.ended OR e.planned > 0) AS is_known,
            max(reported) OVER (PARTITION BY profile) AS is_played
        FROM coverage_runs AS e
        GROUP BY profile, run
    )
    ARRAY JOIN places AS place
    WHERE run != '' AND is_played AND NOT is_known
)
GROUP BY namespace, revision, profile, run;

-- Runs of which the collector inserted spans and did not find all that is derived from them in the tables, or could not
-- insert some, and those of a file that was not imported to its end: by their traces, since what is not in the tables
-- has no run.
CREATE OR REPLACE VIEW unchecked_runs AS
SELECT namespace, revision, profile, run, min(s.started) AS first_seen, min(s.trace) AS exemplar_trace_id,
    transform(b.kind, ['batch', 'import'], ['not_checked', 'not_imported'], 'set_aside') AS incomplete_reason,
    multiIf(
        b.kind = 'batch', 'the collector did not find all of its spans in the tables; it repairs them when it is started again, and says in its log what is wrong',
        b.kind = 'import', 'the import of a file was interrupted; import it again',
        'the collector could not insert some of its spans, and says in its log why'
    ) AS incomplete_detail
FROM coverage_spans AS s
GLOBAL INNER JOIN (
    SELECT DISTINCT key.1 AS trace, kind
    FROM coverage_batches
    ARRAY JOIN keys AS key
    WHERE kind = 'set_aside' OR (kind IN ('batch', 'import') AND batch GLOBAL IN (
        SELECT batch FROM coverage_batches WHERE kind IN ('batch', 'import') GROUP BY batch HAVING NOT max(whole)
    ))
) AS b ON b.trace = s.trace
WHERE role IN ('server', 'consumer', 'process', 'part')
GROUP BY namespace, revision, profile, run, b.kind;

-- What folding found doubtful of runs, the newest word of each doubt.
CREATE OR REPLACE VIEW doubtful_runs AS
SELECT namespace, revision, profile, run, reason, service, process,
    argMax(d.found, d.written) AS found, argMax(d.missing, d.written) AS missing, argMax(d.detail, d.written) AS detail,
    argMax(d.first_seen, d.written) AS first_seen, argMax(d.exemplar_trace_id, d.written) AS exemplar_trace_id
FROM coverage_run_doubts AS d
GROUP BY namespace, revision, profile, run, reason, service, process
HAVING found > 0;

-- Each reason why a run is in doubt as a whole; `missing` is how many requests, jobs and processes are known to be lost
-- for that reason, by number and not by name.
CREATE OR REPLACE VIEW incomplete_runs AS
SELECT namespace, revision, profile, run, '' AS service, '' AS process, first_seen, incomplete_reason, incomplete_detail,
    0 AS missing, exemplar_trace_id
FROM unplayed_steps
UNION ALL
SELECT namespace, revision, profile, run, '', '', first_seen, 'several_revisions', incomplete_detail, 0,
    exemplar_trace_id
FROM split_runs
UNION ALL
SELECT namespace, revision, profile, run, '', '', first_seen, incomplete_reason, incomplete_detail, 0, exemplar_trace_id
FROM unchecked_runs
UNION ALL
SELECT namespace, revision, profile, run, toString(service), toString(process), last_seen, doubt.1, doubt.2,
    if(doubt.1 = 'numbers_missing', p.missing, 0), exemplar_trace_id
FROM recorded_processes AS p
ARRAY JOIN doubts AS doubt
UNION ALL
SELECT namespace, revision, profile, run, toString(service), process, first_seen, toString(reason), detail, d.missing,
    exemplar_trace_id
FROM doubtful_runs AS d
WHERE reason != 'outside_window';

-- All that is known to be missing, a row for each request, job or process, and for each reason to doubt a whole run.
CREATE OR REPLACE VIEW missing_coverage AS
SELECT namespace, revision, profile, run, kind, name, service, process, started, arrived, incomplete_reason,
    incomplete_detail, trace, span, service AS reported_by
FROM incomplete_entries
UNION ALL
SELECT namespace, revision, profile, run, kind, name, service, process, started, arrived, incomplete_reason,
    incomplete_detail, trace, span, service
FROM uncalled_jobs
UNION ALL
SELECT namespace, revision, profile, run, kind, name, service, process, started, false, incomplete_reason,
    incomplete_detail, trace, span, reported_by
FROM missing_requests
UNION ALL
SELECT namespace, revision, profile, run, 'run', run, service, process, first_seen, true, incomplete_reason,
    incomplete_detail, exemplar_trace_id, '', service
FROM incomplete_runs;
