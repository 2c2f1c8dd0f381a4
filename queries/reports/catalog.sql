-- The catalog: what the source tree defines at a revision, with its executable lines.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
SELECT symbol, module, qualname, line, kind, file, end_line, parent, executable_lines, functions_covered > 0 AS covered
FROM symbol_coverage
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY module, line, qualname;
