-- profile × symbol: which functions each profile executed, in any service and any run that counts.
CREATE OR REPLACE VIEW coverage_matrix AS
SELECT
    namespace, revision, profile, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    min(exemplar_trace_id) AS exemplar_trace_id
FROM counted_functions
GROUP BY namespace, revision, profile, module, qualname, line;
