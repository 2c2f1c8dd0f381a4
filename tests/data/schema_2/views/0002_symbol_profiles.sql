-- The reverse index: for each executed function, the profiles that execute it, in alphabetical order.
CREATE OR REPLACE VIEW symbol_profiles AS
SELECT
    namespace, revision, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    arraySort(arrayDistinct(groupArray(profile))) AS profiles,
    toUInt32(length(profiles)) AS profile_count,
    min(first_seen) AS first_seen,
    max(last_seen) AS last_seen,
    min(exemplar_trace_id) AS exemplar_trace_id
FROM counted_functions
GROUP BY namespace, revision, module, qualname, line;
