-- profile × symbol: which functions each profile executed, in any service and any run that counts.
CREATE OR REPLACE VIEW coverage_matrix AS
SELECT
    namespace, revision, profile, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    min(f.first_seen) AS first_seen,
    max(f.last_seen) AS last_seen,
    min(f.exemplar_trace_id) AS exemplar_trace_id
FROM coverage_functions AS f
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs)
GROUP BY namespace, revision, profile, module, qualname, line;
