-- A role that may ask everything about coverage and change nothing, for dashboards and reports. Run it as a user who may
-- manage access, in the store's database, on a cluster with ON CLUSTER after each name; then GRANT coverage_reader TO
-- whomever. Raw spans (otel_traces) are not in it: they may hold what not every reader should see.
CREATE ROLE IF NOT EXISTS coverage_reader;

-- ordinary views ask with the rights of whoever asks them, so the tables below them are needed too
GRANT SELECT ON coverage_spans TO coverage_reader;
GRANT SELECT ON coverage_functions TO coverage_reader;
GRANT SELECT ON coverage_lines TO coverage_reader;
GRANT SELECT ON coverage_arcs TO coverage_reader;
GRANT SELECT ON coverage_reach TO coverage_reader;
GRANT SELECT ON coverage_runs TO coverage_reader;
GRANT SELECT ON code_symbols TO coverage_reader;

GRANT SELECT ON uncounted_runs TO coverage_reader;
GRANT SELECT ON counted_functions TO coverage_reader;
GRANT SELECT ON counted_lines TO coverage_reader;
GRANT SELECT ON counted_arcs TO coverage_reader;
GRANT SELECT ON executed_functions TO coverage_reader;
GRANT SELECT ON coverage_matrix TO coverage_reader;
GRANT SELECT ON symbol_profiles TO coverage_reader;
GRANT SELECT ON symbol_catalog TO coverage_reader;
GRANT SELECT ON symbol_coverage TO coverage_reader;
GRANT SELECT ON coverage_gaps TO coverage_reader;
GRANT SELECT ON module_gaps TO coverage_reader;
GRANT SELECT ON recorded_requests TO coverage_reader;
GRANT SELECT ON session_revisions TO coverage_reader;
GRANT SELECT ON missing_requests TO coverage_reader;
GRANT SELECT ON run_completeness TO coverage_reader;
GRANT SELECT ON profile_runs TO coverage_reader;
GRANT SELECT ON profile_leaderboard TO coverage_reader;
GRANT SELECT ON module_leaderboard TO coverage_reader;
GRANT SELECT ON profile_overlap TO coverage_reader;
GRANT SELECT ON profile_unique TO coverage_reader;
GRANT SELECT ON revision_diff TO coverage_reader;
GRANT SELECT ON symbol_flakiness TO coverage_reader;
