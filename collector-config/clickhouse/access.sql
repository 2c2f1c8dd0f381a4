-- Who may do what in the database otel: roles, bounds and quotas, without passwords. Run it once as a user who may manage
-- access; the tables need not exist. `otel-coverage schema access` prints a narrower coverage_reader, without raw spans.

-- People, dashboards and reports: read everything, change nothing. A client may lower the bounds, and raise the time to 300 s.
CREATE SETTINGS PROFILE IF NOT EXISTS coverage_reading SETTINGS
    readonly = 1,
    max_execution_time = 60 MIN 1 MAX 300 CHANGEABLE_IN_READONLY,
    max_memory_usage = 2000000000,
    max_threads = 4;
CREATE ROLE IF NOT EXISTS coverage_reader SETTINGS PROFILE coverage_reading;
GRANT SELECT ON otel.* TO coverage_reader;
CREATE QUOTA IF NOT EXISTS coverage_reading KEYED BY user_name
    FOR INTERVAL 1 hour MAX queries = 20000, execution_time = 3600
    TO coverage_reader;

-- Collectors: insert spans and metrics. Materialized views run as who inserts, so the tables that they fill are granted, too.
-- No view, ours or another's, can fail the insert of the spans.
CREATE SETTINGS PROFILE IF NOT EXISTS coverage_inserting SETTINGS materialized_views_ignore_errors = 1;
CREATE ROLE IF NOT EXISTS coverage_collector SETTINGS PROFILE coverage_inserting;
GRANT SELECT, INSERT, CREATE TABLE ON otel.* TO coverage_collector;

-- What `otel-coverage schema apply`, `catalog push` and `store prune` do.
CREATE ROLE IF NOT EXISTS coverage_owner;
GRANT SELECT, INSERT, CREATE, DROP, ALTER, TRUNCATE, OPTIMIZE ON otel.* TO coverage_owner;
