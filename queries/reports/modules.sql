-- Modules, those with the most functions that no profile executed first.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
SELECT module, functions_covered, functions_total, percent, lines_covered, lines_total, lines_percent
FROM module_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY functions_total - functions_covered DESC, module;
