-- Each profile with the functions that no other profile reaches; one that has none adds nothing to the others.
CREATE OR REPLACE VIEW profile_unique AS
SELECT
    namespace, revision, profile,
    sum(p.functions) AS functions,
    sum(p.unique_functions) AS unique_functions,
    arraySort(arrayFlatten(groupArray(p.symbols))) AS symbols
FROM (
    SELECT namespace, revision, profile, uniqExact(c.symbol_hash) AS functions, 0 AS unique_functions,
        CAST([], 'Array(String)') AS symbols
    FROM counted_functions AS c
    GROUP BY namespace, revision, profile
    SETTINGS optimize_aggregation_in_order = 1
    UNION ALL
    SELECT namespace, revision, profile, 0, count(), groupArray(s.symbol)
    FROM (
        SELECT
            namespace, revision, min(c.profile) AS profile, concat(module, ':', qualname, '@', toString(line)) AS symbol
        FROM counted_functions AS c
        GROUP BY namespace, revision, module, qualname, line
        HAVING min(c.profile) = max(c.profile)
    ) AS s
    GROUP BY namespace, revision, profile
) AS p
GROUP BY namespace, revision, profile;
