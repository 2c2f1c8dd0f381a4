-- Which runs count, and what was executed in them. A run that failed, by the playback client's own word, may have left
-- its workflow for code that the profile is not about. It counts only where its profile has no run at that revision
-- that went better. What counts is shown in the rows that the tables hold, merged or not.
CREATE OR REPLACE VIEW uncounted_runs AS
SELECT namespace, revision, profile, arrayJoin(groupUniqArrayIf(r.run, r.failed)) AS run
FROM (
    SELECT
        namespace, revision, profile, run,
        (profile, run) GLOBAL IN (SELECT profile, run FROM coverage_spans WHERE outcome = 'failed') AS failed
    FROM coverage_spans
    WHERE role IN ('server', 'consumer', 'process')
        AND profile GLOBAL IN (SELECT profile FROM coverage_spans WHERE outcome = 'failed')
    GROUP BY namespace, revision, profile, run
) AS r
GROUP BY namespace, revision, profile
HAVING NOT min(r.failed);

CREATE OR REPLACE VIEW counted_functions AS
SELECT *, symbol_hash
FROM coverage_functions
WHERE run_hash GLOBAL NOT IN (SELECT sipHash64(namespace, revision, profile, run) FROM uncounted_runs);

CREATE OR REPLACE VIEW counted_lines AS
SELECT *, lines
FROM coverage_lines
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);
