-- Requests and jobs whose coverage did not arrive whole, and why.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
SELECT profile, run, kind, name, service, started, arrived, incomplete_reason, incomplete_detail, trace, span
FROM run_completeness
WHERE namespace = {namespace:String} AND revision = {revision:String} AND NOT complete
ORDER BY profile, run, started, span;
