-- Requests and jobs whose coverage did not arrive whole, and why.
SELECT profile, run, kind, name, service, started, arrived, incomplete_reason, incomplete_detail, trace, span
FROM run_completeness
WHERE namespace = {namespace:String} AND revision = {revision:String} AND NOT complete
ORDER BY profile, run, started, span;
