-- Modules, those with the most functions that no profile executed first.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT module, functions_covered, functions_total, percent, lines_covered, lines_total, lines_percent
FROM module_gaps
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
ORDER BY functions_total - functions_covered DESC, module;
