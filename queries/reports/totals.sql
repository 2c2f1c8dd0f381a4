-- All profiles together: functions and lines of the catalog that they execute, and all functions that they do.
SELECT
    sum(m.functions_covered) AS functions_covered,
    sum(m.functions_total) AS functions_total,
    if(functions_total = 0, NULL, round(100 * functions_covered / functions_total, 2)) AS percent,
    sum(m.lines_covered) AS lines_covered,
    sum(m.lines_total) AS lines_total,
    if(lines_total = 0, NULL, round(100 * lines_covered / lines_total, 2)) AS lines_percent,
    (SELECT count() FROM symbol_profiles WHERE namespace = {namespace:String} AND revision = {revision:String}) AS functions,
    sum(m.functions_at_startup) AS functions_at_startup,
    toBool((SELECT count() FROM coverage_startup WHERE namespace = {namespace:String} AND revision = {revision:String}) > 0) AS startup_recorded
FROM module_gaps AS m
WHERE namespace = {namespace:String} AND revision = {revision:String};
