-- Profile × function as `matrix`, but of some services only.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {services:String} = ''  names with a comma between them; all services, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, module, qualname, line,
    min(f.first_seen) AS first_seen, max(f.last_seen) AS last_seen, min(f.exemplar_trace_id) AS exemplar_trace_id
FROM counted_functions AS f
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({services:String} = '' OR has(splitByChar(',', {services:String}), toString(service)))
GROUP BY profile, module, qualname, line
ORDER BY profile, module, line, qualname;
