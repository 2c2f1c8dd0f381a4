-- Functions and classes that no profile executed.
--
-- {namespace:String} = ''  service.namespace: the services that share one source tree
-- {revision:String} = ''  empty: the newest that was traced
-- {services:String} = ''  names with commas between them; empty: all services
-- {module:String} = ''  empty: all modules
SELECT symbol, kind, module, qualname, line, end_line, file, executable_lines
FROM coverage_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
ORDER BY module, line, qualname;
