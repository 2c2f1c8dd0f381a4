-- Runs that `store forget` took out, and of which something arrived since, or was derived once more from raw spans. A run
-- that began after that under the same id is another one.
CREATE OR REPLACE VIEW forgotten_runs AS
SELECT DISTINCT r.run AS run
FROM coverage_runs AS r
GLOBAL INNER JOIN (SELECT run, at FROM coverage_run_windows WHERE kind = 'forgotten') AS f ON f.run = r.run
WHERE r.first_seen <= f.at;

-- Which runs do not count: those that were forgotten (the query of forgotten_runs), and others that failed. A run that
-- failed, as the playback client reports, may have left its workflow for code that the profile is not about: it counts
-- only where no other run of its profile at that revision succeeded.
CREATE OR REPLACE VIEW uncounted_runs AS
SELECT namespace, revision, profile, arrayJoin(if(
    min(r.has_failed OR r.is_forgotten),
    groupUniqArrayIf(r.run, r.is_forgotten),
    groupUniqArrayIf(r.run, r.has_failed OR r.is_forgotten)
)) AS run
FROM (
    SELECT namespace, revision, profile, run,
        (profile, run) GLOBAL IN (SELECT profile, run FROM coverage_runs WHERE failed) AS has_failed,
        run GLOBAL IN (
            SELECT DISTINCT r.run AS run
            FROM coverage_runs AS r
            GLOBAL INNER JOIN (SELECT run, at FROM coverage_run_windows WHERE kind = 'forgotten') AS f ON f.run = r.run
            WHERE r.first_seen <= f.at
        ) AS is_forgotten
    FROM coverage_runs
    WHERE recorded OR is_forgotten
) AS r
GROUP BY namespace, revision, profile;

-- Profiles of which a run that did not fail was recorded: of these, no run that failed counts, recorded or not.
CREATE OR REPLACE VIEW succeeded_profiles AS
SELECT DISTINCT namespace, revision, profile
FROM coverage_runs
WHERE recorded AND (profile, run) GLOBAL NOT IN (SELECT profile, run FROM coverage_runs WHERE failed)
    AND run GLOBAL NOT IN (
        SELECT DISTINCT r.run AS run
        FROM coverage_runs AS r
        GLOBAL INNER JOIN (SELECT run, at FROM coverage_run_windows WHERE kind = 'forgotten') AS f ON f.run = r.run
        WHERE r.first_seen <= f.at
    );

-- The lines of the runs that count, in the rows that the table holds, merged or not.
CREATE OR REPLACE VIEW counted_lines AS
SELECT *, lines
FROM coverage_lines
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);
