-- Runs that `store forget` took out, and of which something arrived since, or was derived once more from raw spans. A run
-- that began after that under the same id is another one.
CREATE OR REPLACE VIEW forgotten_runs AS
SELECT f.run AS run, f.forgotten AS forgotten
FROM (
    SELECT run, max(w.at) AS forgotten FROM coverage_run_windows AS w WHERE kind = 'forgotten' GROUP BY run
) AS f
GLOBAL INNER JOIN (SELECT run, min(r.first_seen) AS began FROM coverage_runs AS r GROUP BY run) AS b ON b.run = f.run
WHERE b.began <= f.forgotten;

-- Which runs do not count: those that were forgotten, and others that failed. A run that failed, as the playback client reports, may have left its workflow for code
-- that the profile is not about: it counts only where no other run of its profile at that revision succeeded.
CREATE OR REPLACE VIEW uncounted_runs AS
SELECT namespace, revision, profile, arrayJoin(groupUniqArrayIf(r.run, r.has_failed)) AS run
FROM (
    SELECT namespace, revision, profile, run,
        (profile, run) GLOBAL IN (SELECT profile, run FROM coverage_runs WHERE failed) AS has_failed
    FROM coverage_runs
    WHERE recorded AND run GLOBAL NOT IN (SELECT run FROM forgotten_runs)
) AS r
GROUP BY namespace, revision, profile
HAVING NOT min(r.has_failed)
UNION ALL
SELECT DISTINCT namespace, revision, profile, run
FROM coverage_runs
WHERE run GLOBAL IN (SELECT run FROM forgotten_runs);

-- Profiles of which a run that did not fail was recorded: of these, no run that failed counts, recorded or not.
CREATE OR REPLACE VIEW succeeded_profiles AS
SELECT DISTINCT namespace, revision, profile
FROM coverage_runs
WHERE recorded AND (profile, run) GLOBAL NOT IN (SELECT profile, run FROM coverage_runs WHERE failed)
    AND run GLOBAL NOT IN (SELECT run FROM forgotten_runs);

-- The lines of the runs that count, in the rows that the table holds, merged or not.
CREATE OR REPLACE VIEW counted_lines AS
SELECT *, lines
FROM coverage_lines
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);
