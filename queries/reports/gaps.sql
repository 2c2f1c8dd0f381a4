-- Functions and classes that no profile executed.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
-- {module:String} = ''  all modules, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT symbol, kind, module, qualname, line, end_line, file
FROM coverage_gaps
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
    AND ({module:String} = '' OR module = {module:String})
ORDER BY module, line, qualname;
