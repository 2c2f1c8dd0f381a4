-- What `playback begin` and `end` say of a run, as the playback client's own spans would: under no revision.
CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_run_windows_mv TO coverage_runs AS
SELECT
    '' AS namespace, '' AS revision, profile, run,
    false AS recorded, false AS covered,
    max(outcome = 'passed') AS passed,
    max(outcome = 'failed') AS failed,
    false AS called, toUInt32(0) AS planned, false AS ended, toUInt32(0) AS played,
    ['window'] AS evidence,
    min(at) AS first_seen,
    max(at) AS last_seen,
    '' AS exemplar_trace_id
FROM coverage_run_windows
WHERE kind != 'forgotten'
GROUP BY profile, run;

-- The window of each profile in a run: from its first begin to its last end; without an end, or where it began once more
-- after that, it is open. One without a begin holds nothing.
CREATE OR REPLACE VIEW run_windows AS
SELECT
    profile, run,
    minIf(w.at, w.kind = 'begin') AS began,
    maxIf(w.at, w.kind = 'begin') AS last_began,
    maxIf(w.at, w.kind = 'end') AS ended,
    uniqExactIf(w.at, w.kind = 'begin') AS begins,
    uniqExactIf(w.at, w.kind = 'end') AS ends,
    toBool(begins > 0 AND ended < last_began) AS is_open,
    multiIf(max(w.outcome = 'failed'), 'failed', max(w.outcome = 'passed'), 'passed', '') AS outcome
FROM coverage_run_windows AS w
WHERE kind != 'forgotten'
GROUP BY profile, run;
