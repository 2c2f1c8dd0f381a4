-- Each request and job of a run, with whether its coverage arrived.
--
-- The trace itself says what should be there: a CLIENT span of the playback client asks for the SERVER span that is its
-- child, a PRODUCER span for its CONSUMER span. Spans are joined by the numbers that coverage_spans has for them, and
-- those of other revisions are left out before that: the columns that a question narrows are part of each join.

-- What arrived: spans that begin a recording, with what the parts of their coverage say.
CREATE OR REPLACE VIEW recorded_requests AS
SELECT
    e.namespace AS namespace, e.revision AS revision, e.profile AS profile, e.run AS run,
    transform(toString(e.role), ['server', 'consumer'], ['request', 'job'], 'process') AS kind,
    toString(e.name) AS name,
    toString(e.service) AS service,
    e.started AS started,
    e.duration AS duration,
    toBool(e.complete AND p.reason = '') AS complete,
    if(e.complete, p.reason, e.incomplete_reason) AS incomplete_reason,
    e.trace AS trace,
    e.span AS span,
    e.span_hash AS span_hash,
    e.parent_hash AS caller_hash
FROM (
    SELECT *, span_hash, parent_hash FROM coverage_spans FINAL WHERE role IN ('server', 'consumer', 'process')
) AS e
GLOBAL LEFT JOIN (
    SELECT parent_hash, min(s.incomplete_reason) AS reason
    FROM coverage_spans AS s
    WHERE role = 'part' AND NOT complete
    GROUP BY parent_hash
) AS p ON p.parent_hash = e.span_hash;

-- The revisions that a session was recorded at, or where nothing of it was, those that its callers name. A caller without
-- a run id may be answered in a run: it is looked for by its trace.
CREATE OR REPLACE VIEW session_revisions AS
SELECT DISTINCT sipHash64(run) AS session_hash, namespace, revision
FROM coverage_runs
WHERE recorded AND run != ''
UNION DISTINCT
SELECT trace_hash, namespace, revision
FROM coverage_spans
WHERE role IN ('server', 'consumer', 'process')
    AND (run = '' OR trace_hash GLOBAL IN (
        SELECT trace_hash FROM coverage_spans WHERE role IN ('client', 'producer') AND run = ''
    ))
UNION DISTINCT
SELECT session_hash, namespace, revision
FROM coverage_spans
WHERE role IN ('client', 'producer')
    AND session_hash GLOBAL NOT IN (SELECT sipHash64(run) FROM coverage_runs WHERE recorded AND run != '')
    AND (run != '' OR trace_hash GLOBAL NOT IN (
        SELECT trace_hash FROM coverage_spans WHERE role IN ('server', 'consumer', 'process')
    ));

-- What never arrived. It has no revision; it belongs to those of its session.
--
-- The application's own CLIENT spans ask for nothing: whom it calls need not be traced. The playback client's are
-- children of its root span, the one with an outcome. Where that was lost, or is still running, they are those whose
-- parent never arrived and whose service answered nothing in the session.
CREATE OR REPLACE VIEW missing_requests AS
WITH
    -- calls that nothing of their own session answered; without GLOBAL the engine narrows this to the sessions asked for
    unanswered AS (
        SELECT s.namespace AS namespace, s.revision AS revision, c.call AS call
        FROM (
            SELECT session_hash, if(role IN ('client', 'producer'), span_hash, parent_hash) AS call
            FROM coverage_spans
            WHERE role IN ('client', 'producer', 'server', 'consumer', 'process')
            GROUP BY session_hash, call
            HAVING min(role IN ('client', 'producer'))
        ) AS c
        INNER JOIN session_revisions AS s ON s.session_hash = c.session_hash
    ),
    -- few are left by now, so that all other spans are gone through for them, and not the other way round
    callers AS (
        SELECT u.namespace AS namespace, u.revision AS revision, c.*
        FROM (
            SELECT
                profile, run, toString(s.role) AS role, toString(s.name) AS name, toString(s.service) AS service, started,
                duration, trace, span, span_hash, parent_hash, trace_hash, session_hash
            FROM coverage_spans AS s
            WHERE role IN ('client', 'producer')
        ) AS c
        GLOBAL INNER JOIN unanswered AS u ON u.call = c.span_hash
    ),
    with_answers AS (
        SELECT c.*, e.parent_hash != 0 AS answered
        FROM (SELECT parent_hash FROM coverage_spans WHERE role IN ('server', 'consumer', 'process')) AS e
        GLOBAL RIGHT ANY JOIN callers AS c ON e.parent_hash = c.span_hash
    ),
    with_parents AS (
        SELECT c.*, p.outcome IN ('passed', 'failed') AS of_playback, p.span_hash != 0 AS parent_arrived
        FROM (SELECT span_hash, outcome FROM coverage_spans) AS p
        GLOBAL RIGHT ANY JOIN with_answers AS c ON p.span_hash = c.parent_hash
    )
SELECT
    c.namespace AS namespace, c.revision AS revision,
    max(c.profile) AS profile,
    max(c.run) AS run,
    if(max(c.role) = 'client', 'request', 'job') AS kind,
    max(c.name) AS name,
    max(c.started) AS started,
    max(c.duration) AS duration,
    if(kind = 'request', 'no span of the server arrived', 'no span of the job arrived') AS incomplete_reason,
    max(c.trace) AS trace,
    max(c.span) AS span,
    c.span_hash AS span_hash
FROM (
    SELECT session_hash, toString(s.service) AS service FROM coverage_spans AS s
    WHERE role IN ('server', 'consumer', 'process')
) AS e
GLOBAL RIGHT ANY JOIN with_parents AS c ON e.session_hash = c.session_hash AND e.service = c.service
WHERE NOT c.answered AND (
    c.role = 'producer'
    OR c.of_playback
    OR (NOT c.parent_arrived
        AND e.session_hash = 0
        AND c.trace_hash GLOBAL NOT IN (SELECT trace_hash FROM coverage_spans WHERE outcome IN ('passed', 'failed')))
)
GROUP BY c.namespace, c.revision, c.span_hash;

CREATE OR REPLACE VIEW run_completeness AS
SELECT
    e.namespace AS namespace, e.revision AS revision, e.profile AS profile, e.run AS run,
    e.kind AS kind,
    if(c.name = '', e.name, c.name) AS name,
    e.service AS service,
    e.started AS started,
    e.duration AS duration,
    true AS arrived,
    e.complete AS complete,
    e.incomplete_reason AS incomplete_reason,
    e.trace AS trace,
    e.span AS span
FROM (
    SELECT span_hash, toString(s.name) AS name FROM coverage_spans AS s WHERE role IN ('client', 'producer')
) AS c
GLOBAL RIGHT ANY JOIN recorded_requests AS e ON c.span_hash = e.caller_hash
UNION ALL
SELECT namespace, revision, profile, run, kind, name, '', started, duration, false, false, incomplete_reason, trace, span
FROM missing_requests;
