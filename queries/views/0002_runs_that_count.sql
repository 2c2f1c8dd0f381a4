-- Which runs do not count. A run that failed, as the playback client reports, may have left its workflow for code that the
-- profile is not about: it counts only where no other run of its profile at that revision succeeded.
CREATE OR REPLACE VIEW uncounted_runs AS
SELECT namespace, revision, profile, arrayJoin(groupUniqArrayIf(r.run, r.has_failed)) AS run
FROM (
    SELECT namespace, revision, profile, run,
        (profile, run) GLOBAL IN (SELECT profile, run FROM coverage_runs WHERE failed) AS has_failed
    FROM coverage_runs
    WHERE recorded
) AS r
GROUP BY namespace, revision, profile
HAVING NOT min(r.has_failed);

-- Profiles of which a run that did not fail was recorded: of these, no run that failed counts, recorded or not.
CREATE OR REPLACE VIEW succeeded_profiles AS
SELECT DISTINCT namespace, revision, profile
FROM coverage_runs
WHERE recorded AND (profile, run) GLOBAL NOT IN (SELECT profile, run FROM coverage_runs WHERE failed);

-- The lines of the runs that count, in the rows that the table holds, merged or not.
CREATE OR REPLACE VIEW counted_lines AS
SELECT *, lines
FROM coverage_lines
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);
