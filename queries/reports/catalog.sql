-- The catalog: what the source tree defines at a revision, with its own executable lines.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  the newest that was traced, when empty
WITH (
    SELECT argMax(revision, last_seen) FROM coverage_runs
    WHERE namespace = {namespace:String} AND revision != '' AND {revision:String} = ''
) AS newest
SELECT symbol, module, qualname, line, kind, file, end_line, parent, executable_lines
FROM symbol_coverage
WHERE namespace = {namespace:String} AND revision = if({revision:String} = '', newest, {revision:String})
ORDER BY module, line, qualname;
