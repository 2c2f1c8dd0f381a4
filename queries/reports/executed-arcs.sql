-- Profile × file: the arcs that each profile took, from line to line, where branches were recorded.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
SELECT profile, file, arraySort(arrayMap(arc -> [arc.1, arc.2], groupUniqArrayArray(arcs))) AS arcs
FROM counted_arcs
WHERE namespace = {namespace:String} AND revision = {revision:String}
GROUP BY profile, file
ORDER BY profile, file;
