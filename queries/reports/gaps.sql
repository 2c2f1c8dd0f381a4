-- Functions and classes that no profile executed.
SELECT symbol, kind, module, qualname, line, end_line, file, executable_lines
FROM coverage_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
ORDER BY module, line, qualname;
