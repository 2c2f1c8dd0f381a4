-- Each profile against each other one: how many functions both execute, and whether the other executes all of its.
CREATE OR REPLACE VIEW profile_overlap AS
WITH
    -- the functions are numbered, so that a profile's are a bitmap
    numbered AS (
        SELECT namespace, revision, profiles, toUInt32(rowNumberInAllBlocks()) AS number FROM executed_functions
    ),
    executed AS (
        SELECT namespace, revision, arrayMap(
            (profile, bitmap) -> (profile, bitmapCardinality(bitmap), bitmap), mapKeys(bitmaps), mapValues(bitmaps)
        ) AS every
        FROM (
            SELECT namespace, revision,
                groupBitmapStateMap(mapFromArrays(profiles, arrayWithConstant(length(profiles), number))) AS bitmaps
            FROM numbered
            GROUP BY namespace, revision
        )
    )
SELECT
    namespace, revision,
    own.1 AS profile,
    others.1 AS other,
    own.2 AS functions,
    others.2 AS other_functions,
    bitmapAndCardinality(own.3, others.3) AS shared,
    round(shared / (functions + other_functions - shared), 4) AS jaccard,
    toBool(shared = functions) AS is_subset
FROM (SELECT namespace, revision, every, arrayJoin(every) AS own FROM executed)
ARRAY JOIN every AS others
WHERE own.1 != others.1;

-- Each profile with the functions that no other profile reaches; one that has none adds nothing to the others.
CREATE OR REPLACE VIEW profile_unique AS
SELECT
    namespace, revision, profile,
    count() AS functions,
    countIf(length(profiles) = 1) AS unique_functions,
    arraySort(groupArrayIf(concat(module, ':', qualname, '@', toString(line)), length(profiles) = 1)) AS symbols
FROM executed_functions
ARRAY JOIN profiles AS profile
GROUP BY namespace, revision, profile;
