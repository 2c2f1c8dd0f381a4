-- Requests and jobs whose coverage did not arrive whole, and why.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, run, kind, name, service, started, arrived, incomplete_reason, trace, span
FROM run_completeness
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND NOT complete
ORDER BY profile, run, started, span;
