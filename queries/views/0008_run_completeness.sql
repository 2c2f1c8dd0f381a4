-- Each request, job and process of a run, with whether its coverage arrived.
--
-- The trace itself says what should be there: each CLIENT span of the playback client has a SERVER span for its child,
-- each PRODUCER span a CONSUMER span. What an application calls itself need not be traced, so its CLIENT spans have no
-- role. A call and its answers share `coverage_spans.call`. A job is called each time that it is queued; one that was
-- cancelled is not missing, and one that waits for its time, or for another job, is pending: not incomplete.

-- Entries of which something is known to be missing, with one reason. Where all that arrived of an entry is parts,
-- `arrived` is false, and the row is about them. Only entries that have parts, or say so themselves, are looked at.
CREATE OR REPLACE VIEW incomplete_entries AS
SELECT
    namespace, revision, profile, run,
    transform(own.1, ['server', 'consumer', 'process'], ['request', 'job', 'process'], 'part') AS kind,
    own.2 AS name, service, process, if(arrived, own.3, first_seen) AS started, arrived,
    reason AS incomplete_reason,
    multiIf(
        reason = 'not_closed', 'it went on after its span had ended, and what it executed then never arrived; usually its process was killed, or the collector was away',
        reason = 'parts_missing', concat('parts, functions, lines and arcs that arrived: ', toString(sums), '; that were recorded: ', toString(declared)),
        reason = 'no_entry_span', concat('its span never arrived, only parts of it: ', toString(parts)),
        reason = 'not_ended', concat('its span never arrived, only parts of it, the last at ', toString(last_seen), ' UTC; it still runs, or its process was killed'),
        said.2
    ) AS incomplete_detail,
    trace, entry AS span
FROM (
    SELECT *,
        multiIf(
            said.1 != '', said.1,
            NOT arrived, if(is_partial, 'not_ended', 'no_entry_span'),
            is_open AND NOT is_closed, 'not_closed',
            declared.1 > 0 AND sums != declared, 'parts_missing',
            ''
        ) AS reason
    FROM (
        SELECT *, (parts, arraySum(spans.3), arraySum(spans.4), arraySum(spans.5)) AS sums
        FROM (
            SELECT
                namespace, revision, profile, run, trace, if(role = 'part', parent, s.span) AS entry,
                max(s.role != 'part') AS arrived,
                anyIf((toString(s.role), toString(s.name), s.started), s.role != 'part') AS own,
                toString(any(s.service)) AS service, toString(any(s.process)) AS process,
                min(s.started) AS first_seen, max(s.started) AS last_seen,
                minIf((toString(s.incomplete_reason), s.incomplete_detail), NOT s.complete) AS said,
                max(s.open) AS is_open, max(s.closing) AS is_closed, max(s.partial) AS is_partial,
                max((s.total_parts, s.total_functions, s.total_lines, s.total_arcs)) AS declared,
                uniqExactIf((s.span, s.started), s.role = 'part') AS parts,
                -- each span once, however often it was delivered
                groupUniqArray((s.span, s.started, s.function_count, s.line_count, s.arc_count)) AS spans
            FROM coverage_spans AS s
            WHERE role = 'part' OR (role IN ('server', 'consumer', 'process') AND (
                NOT complete OR open OR total_parts > 0
                OR trace GLOBAL IN (SELECT trace FROM coverage_spans WHERE role = 'part')
            ))
            GROUP BY namespace, revision, profile, run, trace, entry
        )
    )
    -- a process that was killed has said of each of its entries that it began: that is the loss, and has its name
    WHERE reason != '' AND NOT (reason = 'not_ended' AND (trace, process) GLOBAL IN (
        SELECT trace, toString(b.process) FROM coverage_spans AS b WHERE role = 'begun'
    ))
);

-- Jobs that arrived, and of which nothing arrived that could have queued them. Where who queued one is not traced, its
-- context is that of a span which did arrive.
CREATE OR REPLACE VIEW uncalled_jobs AS
SELECT DISTINCT
    namespace, revision, profile, run, 'job' AS kind, toString(j.name) AS name, toString(j.service) AS service,
    toString(j.process) AS process, started, duration, true AS arrived, 'no_producer_span' AS incomplete_reason,
    'the span that queued it never arrived, so whatever else its process sent then may be lost; usually that process ended, or was killed, before it could send' AS incomplete_detail,
    trace, span
FROM coverage_spans AS j
WHERE role = 'consumer' AND parent != ''
    AND call GLOBAL NOT IN (
        SELECT id FROM coverage_spans
        WHERE role NOT IN ('part', 'client', 'counts', 'plan', 'played')
            AND trace GLOBAL IN (SELECT trace FROM coverage_spans WHERE role = 'consumer')
    );

-- What arrived.
CREATE OR REPLACE VIEW recorded_requests AS
SELECT
    namespace, revision, profile, run,
    transform(toString(role), ['server', 'consumer'], ['request', 'job'], 'process') AS kind,
    toString(e.name) AS name, toString(e.service) AS service, toString(e.process) AS process, started, duration,
    toBool(missing.1 = '') AS complete, missing.1 AS incomplete_reason, missing.2 AS incomplete_detail,
    trace, span, call
FROM (
    SELECT *, call, id AS entry
    FROM coverage_spans FINAL
    WHERE role IN ('server', 'consumer', 'process')
) AS e
GLOBAL LEFT ANY JOIN (
    SELECT sipHash64(trace, span) AS entry, min((d.incomplete_reason, d.incomplete_detail)) AS missing
    FROM (
        SELECT trace, span, incomplete_reason, incomplete_detail FROM incomplete_entries WHERE arrived
        UNION ALL
        SELECT trace, span, incomplete_reason, incomplete_detail FROM uncalled_jobs
    ) AS d
    GROUP BY entry
) AS p USING (entry);

-- What never arrived: calls without an answer, and what began in a process that was killed, which the spool's sender
-- reports (role `begun`). A job is missing at the revision that enqueued it, what began at the one that ran it. The
-- playback client knows no revision: its request is missing at those that its run was recorded at, or at '' where
-- nothing of the run arrived. A call that began and did not end is one row: that of its process.
CREATE OR REPLACE VIEW missing_requests AS
WITH
    sessions AS (
        SELECT *, max(recorded) OVER (PARTITION BY session) AS recorded_anywhere
        FROM (
            SELECT sipHash64(run) AS session, namespace, revision, max(r.recorded) AS recorded
            FROM coverage_runs AS r
            WHERE run != ''
            GROUP BY run, namespace, revision
            UNION ALL
            SELECT DISTINCT session, namespace, revision, false FROM coverage_spans
            WHERE role IN ('producer', 'begun')
        )
    ),
    -- without GLOBAL the engine narrows this to the sessions asked for
    unanswered AS (
        SELECT s.*, c.call AS call
        FROM (
            SELECT session, call
            FROM coverage_spans
            WHERE role IN ('client', 'producer', 'begun', 'server', 'consumer', 'process', 'cancelled')
            GROUP BY session, call
            HAVING min(role IN ('client', 'producer', 'begun')) OR max(role = 'begun')
        ) AS c
        INNER JOIN sessions AS s ON s.session = c.session
    )
SELECT
    u_namespace AS namespace, u_revision AS revision, ask.4 AS profile, ask.5 AS run,
    multiIf(ask.1 = 'client' OR ask.13 = 'server', 'request', ask.13 = 'process', 'process', 'job') AS kind,
    if(ask.1 = 'begun' AND notEmpty(callers), callers[1], ask.6) AS name,
    -- what never arrived has no service; whose span says that it should have is the last that is known of it
    if(ask.1 = 'begun', ask.7, '') AS service, ask.7 AS reported_by, ask.8 AS process, ask.9 AS started,
    ask.10 AS duration,
    transform(ask.1, ['client', 'begun'], ['no_server_span', 'killed'], 'no_consumer_span') AS incomplete_reason,
    multiIf(
        ask.1 = 'client', concat('no span of the server arrived: ', ask.6, '; usually the application was started without `otel-coverage run` or OTEL_COVERAGE_ENABLED=1, sends to another collector, or was killed'),
        ask.1 = 'begun', concat('it began and never ended: ', ask.6, '; its process ended meanwhile, or was killed (kill -9, out of memory, Ctrl-C of a development server)'),
        concat('no span of the job arrived: ', ask.6, '; usually no worker has taken it, its worker was started without `otel-coverage run` or OTEL_COVERAGE_ENABLED=1, or was killed')
    ) AS incomplete_detail,
    ask.11 AS trace, ask.12 AS span, call
FROM (
    SELECT u_namespace, u_revision, call,
        arrayMap(ask -> ask.6, arrayFilter(ask -> ask.1 != 'begun', asks)) AS callers,
        arrayJoin(arrayFilter(
            ask -> if(ask.1 = 'client', is_of_run, (ask.2, ask.3) = (u_namespace, u_revision)),
            if(notEmpty(killed), killed, if(notEmpty(answered), [], asks))
        )) AS ask
    FROM (
        -- what arrived after all was not killed; another process may have answered the same call
        SELECT *, arrayFilter(ask -> ask.1 = 'begun' AND NOT has(answered, ask.8), asks) AS killed
        FROM (
            SELECT
                u.namespace AS u_namespace, u.revision AS u_revision, call,
                max(u.recorded) OR NOT max(u.recorded_anywhere) AS is_of_run,
                groupUniqArrayIf((
                    toString(c.role), toString(c.namespace), toString(c.revision), toString(c.profile), c.run,
                    toString(c.name), toString(c.service), toString(c.process), c.started, c.duration, c.trace, c.span,
                    toString(c.begun_role)
                ), c.role IN ('client', 'producer', 'begun')) AS asks,
                groupUniqArrayIf(toString(c.process), c.role IN ('server', 'consumer', 'process')) AS answered
            FROM (
                SELECT *, call FROM coverage_spans
                WHERE role IN ('client', 'producer', 'begun', 'server', 'consumer', 'process')
            ) AS c
            GLOBAL INNER JOIN unanswered AS u ON u.call = c.call
            GROUP BY u_namespace, u_revision, call
        )
    )
);

-- What waits: jobs that were neither queued nor cancelled since they were scheduled or deferred. Where who queued one is
-- not traced, its CONSUMER span answers.
CREATE OR REPLACE VIEW pending_requests AS
SELECT DISTINCT
    namespace, revision, profile, run, toString(p.name) AS name, toString(p.service) AS service,
    toString(p.process) AS process, started, duration, trace, span
FROM (SELECT *, call FROM coverage_spans WHERE role = 'pending') AS p
WHERE p.call GLOBAL NOT IN (
    SELECT sipHash64(trace, parent) FROM coverage_spans
    WHERE role IN ('producer', 'pending', 'consumer', 'cancelled')
        AND trace GLOBAL IN (SELECT trace FROM coverage_spans WHERE role = 'pending')
);

CREATE OR REPLACE VIEW run_completeness AS
SELECT
    namespace, revision, profile, run, kind, if(caller = '', e.name, caller) AS name, service, process, started, duration,
    true AS arrived, complete, incomplete_reason, incomplete_detail, trace, span, false AS pending,
    service AS reported_by
FROM (SELECT call, toString(name) AS caller FROM coverage_spans WHERE role IN ('client', 'producer', 'pending')) AS c
GLOBAL RIGHT ANY JOIN recorded_requests AS e USING (call)
UNION ALL
SELECT namespace, revision, profile, run, kind, name, service, process, started, duration, false, false,
    incomplete_reason, incomplete_detail, trace, span, false, reported_by
FROM missing_requests
UNION ALL
SELECT namespace, revision, profile, run, 'job', name, service, process, started, duration, false, true, '', '', trace,
    span, true, service
FROM pending_requests;
