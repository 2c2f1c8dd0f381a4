-- Profile × file: the lines that each profile executed.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
SELECT profile, file, arraySort(groupUniqArrayArray(lines)) AS lines
FROM counted_lines
WHERE namespace = {namespace:String} AND revision = {revision:String}
GROUP BY profile, file
ORDER BY profile, file;
