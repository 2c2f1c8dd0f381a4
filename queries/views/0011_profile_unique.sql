-- Each profile with the functions that no other profile reaches; one that has none adds nothing to the others.
CREATE OR REPLACE VIEW profile_unique AS
SELECT
    p.namespace AS namespace, p.revision AS revision, r.profile AS profile,
    p.numbers.2 AS functions,
    toUInt64(length(symbols)) AS unique_functions,
    arraySort(p.alone[p.numbers.1]) AS symbols
FROM (
    SELECT
        namespace, revision,
        arrayJoin(CAST(
            countMap(mapFromArrays(f.profile_hashes, f.profile_hashes)), 'Array(Tuple(UInt64, UInt64))'
        )) AS numbers,
        groupArrayMapIf(
            map(f.profile_hashes[1], concat(f.module, ':', f.qualname, '@', toString(f.line))),
            length(f.profile_hashes) = 1
        ) AS alone
    FROM executed_functions AS f
    GROUP BY namespace, revision
) AS p
GLOBAL INNER ANY JOIN (SELECT namespace, revision, profile, profile_hash FROM coverage_runs) AS r
    ON r.namespace = p.namespace AND r.revision = p.revision AND r.profile_hash = p.numbers.1;
