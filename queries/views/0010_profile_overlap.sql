-- Each profile against each other one: how many functions both execute, and whether the other executes all of its.
CREATE OR REPLACE VIEW profile_overlap AS
WITH executed AS (
    -- the functions of a revision are numbered, so that a profile's are a bitmap; sorted, because both sides of the join
    -- number them anew, and rows come in no order
    SELECT namespace, revision, arrayJoin(n.profiles) AS profile, groupBitmapState(toUInt32(n.number)) AS functions
    FROM (
        SELECT namespace, revision, profiles, number
        FROM (
            SELECT namespace, revision, arraySort(groupArray(s.profiles)) AS profiles_of_each
            FROM symbol_profiles AS s
            GROUP BY namespace, revision
        )
        ARRAY JOIN profiles_of_each AS profiles, arrayEnumerate(profiles_of_each) AS number
    ) AS n
    GROUP BY namespace, revision, profile
)
SELECT
    a.namespace AS namespace, a.revision AS revision, a.profile AS profile,
    b.profile AS other,
    bitmapCardinality(a.functions) AS functions,
    bitmapCardinality(b.functions) AS other_functions,
    bitmapAndCardinality(a.functions, b.functions) AS shared,
    round(shared / (functions + other_functions - shared), 4) AS jaccard,
    toBool(shared = functions) AS is_subset
FROM executed AS a
GLOBAL INNER JOIN executed AS b ON b.namespace = a.namespace AND b.revision = a.revision
WHERE a.profile != b.profile;
