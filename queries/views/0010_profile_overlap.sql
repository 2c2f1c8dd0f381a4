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
        SELECT
            p.namespace AS namespace, p.revision AS revision,
            groupArray(CAST(
                (toString(r.profile), p.functions),
                'Tuple(profile String, functions AggregateFunction(groupBitmap, UInt32))'
            )) AS executed
        FROM (
            -- the functions of a revision are numbered, so that a profile's are a bitmap
            SELECT namespace, revision, b.1 AS profile_hash, b.2 AS functions
            FROM (
                SELECT
                    namespace, revision,
                    groupBitmapStateMap(mapFromArrays(
                        hashes, arrayWithConstant(length(hashes), toUInt32(number))
                    )) AS bitmaps
                FROM (
                    SELECT namespace, revision, groupArray(profile_hashes) AS every
                    FROM executed_functions
                    GROUP BY namespace, revision
                )
                ARRAY JOIN every AS hashes, arrayEnumerate(every) AS number
                GROUP BY namespace, revision
            )
            ARRAY JOIN CAST(bitmaps, 'Array(Tuple(UInt64, AggregateFunction(groupBitmap, UInt32)))') AS b
        ) AS p
        GLOBAL INNER ANY JOIN (SELECT namespace, revision, profile, profile_hash FROM coverage_runs) AS r
            ON r.namespace = p.namespace AND r.revision = p.revision AND r.profile_hash = p.profile_hash
        GROUP BY namespace, revision
    )
)
ARRAY JOIN executed AS others
WHERE own.profile != others.profile;
