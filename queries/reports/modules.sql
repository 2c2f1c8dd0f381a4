-- Modules by package, those with the most functions that no profile executed first.
--
-- table: package > module, functions_covered, functions_total, percent, lines_covered, lines_total, lines_percent, functions_at_startup
SELECT module, functions_covered, functions_total, percent, lines_covered, lines_total, lines_percent,
    if((SELECT count() FROM coverage_startup WHERE namespace = {namespace:String} AND revision = {revision:String}) = 0,
        NULL, m.functions_at_startup) AS functions_at_startup,
    if(position(module, '.') = 0, module, substring(module, 1, length(module) - position(reverse(module), '.'))) AS package
FROM module_gaps AS m
WHERE namespace = {namespace:String} AND revision = {revision:String}
ORDER BY
    sum(functions_total - functions_covered) OVER (PARTITION BY package) DESC, package,
    functions_total - functions_covered DESC, module;
