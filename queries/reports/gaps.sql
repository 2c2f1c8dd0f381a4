-- Functions and classes that no profile executed; at_startup: they ran when a process started, and only then.
--
-- It is NULL where no start was recorded. They are `certain` where all coverage of the profiles arrived and none failed.
-- They come by path: package, module, line. The query `modules` ranks modules by the size of their gaps.
-- table: package > module > qualname, kind, line, end_line, executable_lines, at_startup, certain
SELECT symbol, kind, module, qualname, line, end_line, file, executable_lines,
    if((SELECT count() FROM coverage_startup WHERE namespace = {namespace:String} AND revision = {revision:String}) = 0,
        NULL, g.at_startup) AS at_startup,
    (
        SELECT count() FROM profile_runs
        WHERE namespace = {namespace:String} AND revision = {revision:String} AND counted
            AND (NOT complete OR outcome = 'failed')
    ) = 0 AS certain,
    if(position(module, '.') = 0, module, substring(module, 1, length(module) - position(reverse(module), '.'))) AS package
FROM coverage_gaps AS g
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND ({module:String} = '' OR module = {module:String})
ORDER BY package, module, line, qualname;
