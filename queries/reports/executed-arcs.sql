-- Profile × file: the arcs that each profile took, from line to line, where branches were recorded.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {services:String} = ''  names with a comma between them; all services, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT profile, file, arraySort(arrayMap(arc -> [arc.1, arc.2], groupUniqArrayArray(arcs))) AS arcs
FROM counted_arcs
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({services:String} = '' OR has(splitByChar(',', {services:String}), toString(service)))
GROUP BY profile, file
ORDER BY profile, file;
