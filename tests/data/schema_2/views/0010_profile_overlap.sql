-- Each profile against each other one: how many functions both execute, and whether the other executes all of its.
CREATE OR REPLACE VIEW profile_overlap AS
SELECT
    namespace, revision,
    own.profile AS profile,
    others.profile AS other,
    bitmapCardinality(own.functions) AS functions,
    bitmapCardinality(others.functions) AS other_functions,
    bitmapAndCardinality(own.functions, others.functions) AS shared,
    round(shared / (functions + other_functions - shared), 4) AS jaccard,
    toBool(shared = functions) AS is_subset
FROM (
    SELECT namespace, revision, executed, arrayJoin(executed) AS own
    FROM (
        -- the functions of a revision are numbered, so that a profile's are a bitmap
        SELECT
            namespace, revision,
            groupArray(p.profile) AS profiles,
            groupArray(length(p.hashes)) AS sizes,
            arrayEnumerateDense(groupArrayArray(p.hashes)) AS numbers,
            arrayMap(
                (profile, size, end) -> CAST(
                    (profile, bitmapBuild(arraySlice(numbers, end - size + 1, size))),
                    'Tuple(profile String, functions AggregateFunction(groupBitmap, UInt32))'
                ),
                profiles, sizes, arrayCumSum(sizes)
            ) AS executed
        FROM (
            SELECT namespace, revision, profile, groupArray(c.symbol_hash) AS hashes
            FROM counted_functions AS c
            GROUP BY namespace, revision, profile
            SETTINGS optimize_aggregation_in_order = 1
        ) AS p
        GROUP BY namespace, revision
    )
)
ARRAY JOIN executed AS others
WHERE own.profile != others.profile;
