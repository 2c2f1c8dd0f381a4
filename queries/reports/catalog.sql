-- The catalog: what the source tree defines at a revision, with its executable lines.
--
-- table: module > qualname, kind, line, end_line, covered
SELECT symbol, module, qualname, line, kind, file, end_line, parent, executable_lines, toBool(functions_covered > 0) AS covered,
    toBool(functions > 0 AND functions_covered = 0 AND functions_at_startup > 0) AS at_startup,
    toBool(functions > 0 AND functions_covered = 0) AS is_gap, digest
FROM symbol_coverage
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY module, line, qualname;
