-- The arcs of the runs that count, in the rows that the table holds, merged or not.
CREATE OR REPLACE VIEW counted_arcs AS
SELECT *
FROM coverage_arcs
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);
