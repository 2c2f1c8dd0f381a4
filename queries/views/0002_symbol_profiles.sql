-- The reverse index: for each executed function, the profiles that execute it, in alphabetical order.
CREATE OR REPLACE VIEW symbol_profiles AS
WITH (SELECT arraySort(groupUniqArray((toString(profile), profile_hash))) FROM coverage_runs) AS names
SELECT
    namespace, revision, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    arrayMap(
        place -> (names.1)[place],
        arraySort(arrayMap(hash -> transform(hash, names.2, arrayEnumerate(names.2), 0), profile_hashes))
    ) AS profiles,
    toUInt32(length(profiles)) AS profile_count,
    first_seen,
    last_seen,
    exemplar_trace_id
FROM executed_functions;
