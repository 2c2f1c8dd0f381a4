-- Each request and job of a run, with whether its coverage arrived.
--
-- The trace itself says what should be there: a CLIENT span of the playback client asks for the SERVER span that is its
-- child, a PRODUCER span for its CONSUMER span. What never arrived has no revision; it belongs to those that the rest of
-- its run was recorded at.
--
-- The application's own CLIENT spans ask for nothing: whom it calls need not be traced. The playback client's are
-- children of its root span, the one with an outcome. Where that was lost, or is still running, they are those whose
-- parent never arrived and whose service answered nothing in the run.
CREATE OR REPLACE VIEW run_completeness AS
WITH
    entries AS (
        SELECT * FROM coverage_spans FINAL WHERE role IN ('server', 'consumer', 'process')
    ),
    callers AS (
        SELECT *, if(run = '', trace, run) AS session FROM coverage_spans FINAL WHERE role IN ('client', 'producer')
    ),
    playbacks AS (
        SELECT trace, span FROM coverage_spans WHERE outcome IN ('passed', 'failed')
    ),
    rootless AS (
        SELECT trace, session FROM callers WHERE role = 'client' AND trace GLOBAL NOT IN (SELECT trace FROM playbacks)
    ),
    asking AS (
        SELECT * FROM callers
        WHERE role = 'producer'
            OR (trace, parent) GLOBAL IN (SELECT trace, span FROM playbacks)
            OR (trace GLOBAL IN (SELECT trace FROM rootless)
                AND (trace, parent) GLOBAL NOT IN (
                    SELECT trace, span FROM coverage_spans WHERE trace GLOBAL IN (SELECT trace FROM rootless)
                )
                AND (session, service) GLOBAL NOT IN (
                    SELECT if(run = '', trace, run) AS session, service FROM entries
                    WHERE session GLOBAL IN (SELECT session FROM rootless)
                ))
    ),
    incomplete_parts AS (
        SELECT trace, parent, min(incomplete_reason) AS reason
        FROM coverage_spans FINAL
        WHERE role = 'part' AND NOT complete
        GROUP BY trace, parent
    ),
    sessions AS (
        SELECT DISTINCT if(run = '', trace, run) AS session, namespace, revision FROM entries
    )
SELECT
    e.namespace AS namespace, e.revision AS revision, e.profile AS profile, e.run AS run,
    transform(toString(e.role), ['server', 'consumer'], ['request', 'job'], 'process') AS kind,
    toString(if(c.name = '', e.name, c.name)) AS name,
    toString(e.service) AS service,
    e.started AS started,
    e.duration AS duration,
    true AS arrived,
    toBool(e.complete AND p.reason = '') AS complete,
    if(e.complete, p.reason, e.incomplete_reason) AS incomplete_reason,
    e.trace AS trace,
    e.span AS span
FROM entries AS e
GLOBAL LEFT ANY JOIN callers AS c ON c.trace = e.trace AND c.span = e.parent
GLOBAL LEFT JOIN incomplete_parts AS p ON p.trace = e.trace AND p.parent = e.span
UNION ALL
SELECT
    if(s.session = '', m.namespace, s.namespace)::LowCardinality(String),
    if(s.session = '', m.revision, s.revision)::LowCardinality(String),
    m.profile, m.run,
    if(m.role = 'client', 'request', 'job'),
    toString(m.name),
    '',
    m.started,
    m.duration,
    false,
    false,
    if(m.role = 'client', 'no span of the server arrived', 'no span of the job arrived'),
    m.trace,
    m.span
FROM (
    SELECT c.* FROM asking AS c GLOBAL LEFT ANTI JOIN entries AS e ON e.trace = c.trace AND e.parent = c.span
) AS m
GLOBAL LEFT JOIN sessions AS s ON s.session = m.session;
