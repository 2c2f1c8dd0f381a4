-- From the intake into coverage_arcs: path:-40/41/42/41,42/44/-40, where each number leads to the next.
CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_arcs_mv TO coverage_arcs AS
WITH splitByChar(':', text)[-1] AS chains
SELECT
    namespace, revision, profile, run, service,
    substring(text, 1, length(text) - length(chains) - 1) AS file,
    groupUniqArrayArray(arrayFlatten(arrayMap(
        chain -> arrayZip(arrayPopBack(chain), arrayPopFront(chain)),
        arrayMap(
            numbers -> arrayMap(number -> toInt32OrZero(number), splitByChar('/', numbers)),
            splitByChar(',', chains)
        )
    ))) AS arcs,
    min(started) AS first_seen,
    max(started) AS last_seen,
    min(trace) AS exemplar_trace_id
FROM (
    SELECT namespace, revision, profile, run, service, started, trace, arrayJoin(arc_chains) AS text
    FROM coverage_intake
    WHERE profile != '_startup' AND run != ''
)
GROUP BY namespace, revision, profile, run, service, file;

-- The arcs of the runs that count.
CREATE OR REPLACE VIEW counted_arcs AS
SELECT *
FROM coverage_arcs
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);
