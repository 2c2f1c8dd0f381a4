-- Which runs count, and what was executed in them. A run that failed, by the playback client's own word, may have left
-- its workflow for code that the profile is not about. It counts only where its profile has no run at that revision
-- that went better. What counts is shown in the rows that the tables hold, merged or not.
CREATE OR REPLACE VIEW uncounted_runs AS
SELECT
    tupleElement(played, 1) AS namespace, tupleElement(played, 2) AS revision, profile,
    arrayJoin(groupUniqArrayIf(tupleElement(played, 3), has(failed, tupleElement(played, 3)))) AS run
FROM (
    SELECT
        profile,
        groupUniqArrayIf(r.run, r.failed) AS failed,
        groupArrayIf((r.namespace, r.revision, r.run), r.recorded) AS recorded
    FROM coverage_runs AS r
    GROUP BY profile
    HAVING notEmpty(failed)
)
ARRAY JOIN recorded AS played
GROUP BY namespace, revision, profile
HAVING NOT min(has(failed, tupleElement(played, 3)));

CREATE OR REPLACE VIEW counted_functions AS
SELECT *
FROM coverage_functions
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);

CREATE OR REPLACE VIEW counted_lines AS
SELECT *, lines
FROM coverage_lines
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);

-- Turned round, times and exemplars are of all profiles of a run together. Where one of them does not count, they are
-- taken from its functions one by one.
CREATE OR REPLACE VIEW counted_reach AS
SELECT namespace, revision, module, qualname, line, profiles, first_seen, last_seen, exemplar_trace_id
FROM coverage_reach
WHERE (namespace, revision, run) GLOBAL NOT IN (SELECT namespace, revision, run FROM uncounted_runs)
UNION ALL
SELECT namespace, revision, module, qualname, line, [sipHash64(profile)], first_seen, last_seen, exemplar_trace_id
FROM coverage_functions
WHERE (namespace, revision, run) GLOBAL IN (SELECT namespace, revision, run FROM uncounted_runs)
    AND (namespace, revision, profile, run) GLOBAL NOT IN (
        SELECT namespace, revision, profile, run FROM uncounted_runs
    );

CREATE OR REPLACE VIEW executed_functions AS
SELECT
    namespace, revision, module, qualname, line,
    if(count() = 1, groupArrayArray(r.profiles), arrayDistinct(groupArrayArray(r.profiles))) AS profile_hashes,
    min(r.first_seen) AS first_seen,
    max(r.last_seen) AS last_seen,
    min(r.exemplar_trace_id) AS exemplar_trace_id
FROM counted_reach AS r
GROUP BY namespace, revision, module, qualname, line;
