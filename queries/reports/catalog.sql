-- The catalog: what the source tree defines at a revision, with its executable lines.
SELECT symbol, module, qualname, line, kind, file, end_line, parent, executable_lines, functions_covered > 0 AS covered
FROM symbol_coverage
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY module, line, qualname;
