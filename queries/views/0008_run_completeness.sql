-- Each request, job and process of a run, with whether its coverage arrived.
--
-- The trace itself says what should be there: each CLIENT span of the playback client has a SERVER span for its child,
-- each PRODUCER span a CONSUMER span. What an application calls itself need not be traced, so its CLIENT spans have no
-- role. A call and its answers share `coverage_spans.call`.

-- What arrived; where something is missing of it or of its parts, one reason.
CREATE OR REPLACE VIEW recorded_requests AS
SELECT
    namespace, revision, profile, run,
    transform(toString(role), ['server', 'consumer'], ['request', 'job'], 'process') AS kind,
    toString(e.name) AS name, toString(e.service) AS service, started, duration,
    toBool(e.complete AND missing.1 = '') AS complete,
    if(e.complete, missing.1, toString(e.incomplete_reason)) AS incomplete_reason,
    if(e.complete, missing.2, e.incomplete_detail) AS incomplete_detail,
    trace, span, call
FROM (
    SELECT *, call, sipHash64(trace, span) AS part_call
    FROM coverage_spans FINAL
    WHERE role IN ('server', 'consumer', 'process')
) AS e
GLOBAL LEFT JOIN (
    SELECT call AS part_call, min((toString(s.incomplete_reason), s.incomplete_detail)) AS missing
    FROM coverage_spans AS s
    WHERE role = 'part' AND NOT complete
    GROUP BY call
) AS p USING (part_call);

-- What never arrived: calls without an answer. A job is missing at the revision that enqueued it. The playback client knows
-- no revision: its request is missing at those that its run was recorded at, or at '' where nothing of the run arrived.
CREATE OR REPLACE VIEW missing_requests AS
WITH
    -- calls without a run id, which is rare: their trace is the session, and they may be answered in a run
    without_run AS (SELECT trace FROM coverage_spans WHERE role IN ('client', 'producer') AND run = ''),
    sessions AS (
        SELECT *, max(recorded) OVER (PARTITION BY session) AS recorded_anywhere
        FROM (
            SELECT run AS session, namespace, revision, max(r.recorded) AS recorded
            FROM coverage_runs AS r
            WHERE run != ''
            GROUP BY run, namespace, revision
            UNION ALL
            SELECT DISTINCT session, namespace, revision, false FROM coverage_spans WHERE role = 'producer'
            UNION ALL
            SELECT trace, namespace, revision, max(role IN ('server', 'consumer', 'process'))
            FROM coverage_spans
            WHERE trace GLOBAL IN without_run
            GROUP BY trace, namespace, revision
        )
    ),
    -- without GLOBAL the engine narrows this to the sessions asked for
    unanswered AS (
        SELECT s.*, c.call AS call
        FROM (
            SELECT session, call
            FROM coverage_spans
            WHERE role IN ('client', 'producer', 'server', 'consumer', 'process')
            GROUP BY session, call
            HAVING min(role IN ('client', 'producer'))
        ) AS c
        INNER JOIN sessions AS s ON s.session = c.session
    )
SELECT DISTINCT
    u.namespace AS namespace, u.revision AS revision, c.profile AS profile, c.run AS run,
    if(c.role = 'client', 'request', 'job') AS kind,
    toString(c.name) AS name,
    c.started AS started,
    c.duration AS duration,
    if(c.role = 'client', 'no_server_span', 'no_consumer_span') AS incomplete_reason,
    format('no span of the {} arrived: {}', if(c.role = 'client', 'server', 'job'), name) AS incomplete_detail,
    c.trace AS trace,
    c.span AS span,
    c.call AS call
FROM (SELECT *, call FROM coverage_spans WHERE role IN ('client', 'producer')) AS c
GLOBAL INNER JOIN unanswered AS u ON u.call = c.call
WHERE if(c.role = 'client', u.recorded OR NOT u.recorded_anywhere, (u.namespace, u.revision) = (c.namespace, c.revision))
    AND c.call GLOBAL NOT IN (
        SELECT call FROM coverage_spans
        WHERE role IN ('server', 'consumer', 'process') AND trace GLOBAL IN without_run
    );

CREATE OR REPLACE VIEW run_completeness AS
SELECT
    namespace, revision, profile, run, kind, if(caller = '', e.name, caller) AS name, service, started, duration,
    true AS arrived, complete, incomplete_reason, incomplete_detail, trace, span
FROM (SELECT call, toString(name) AS caller FROM coverage_spans WHERE role IN ('client', 'producer')) AS c
GLOBAL RIGHT ANY JOIN recorded_requests AS e USING (call)
UNION ALL
SELECT namespace, revision, profile, run, kind, name, '', started, duration, false, false, incomplete_reason,
    incomplete_detail, trace, span
FROM missing_requests;
