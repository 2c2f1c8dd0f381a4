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
