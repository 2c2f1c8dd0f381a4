-- Each profile with the functions that no other profile reaches; one that has none adds nothing to the others.
CREATE OR REPLACE VIEW profile_unique AS
SELECT
    namespace, revision, profile,
    count() AS functions,
    countIf(s.profile_count = 1) AS unique_functions,
    arraySort(groupArrayIf(s.symbol, s.profile_count = 1)) AS symbols
FROM symbol_profiles AS s
ARRAY JOIN s.profiles AS profile
GROUP BY namespace, revision, profile;
