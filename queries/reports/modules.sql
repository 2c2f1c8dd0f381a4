-- Modules, those with the most functions that no profile executed first.
SELECT module, functions_covered, functions_total, percent, lines_covered, lines_total, lines_percent
FROM module_gaps
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY functions_total - functions_covered DESC, module;
