-- Each module of the catalog: functions covered of all, and of the executable lines in their bodies. Nothing to cover is
-- 100 %. What class bodies execute, they execute when they are imported: before any profile is played.
CREATE OR REPLACE VIEW module_gaps AS
SELECT
    namespace, revision, module,
    sum(f.functions_covered) AS functions_covered,
    sum(f.functions_total) AS functions_total,
    if(functions_total = 0, 100., round(100 * functions_covered / functions_total, 2)) AS percent,
    sum(f.lines_covered) AS lines_covered,
    sum(f.lines_total) AS lines_total,
    if(lines_total = 0, 100., round(100 * lines_covered / lines_total, 2)) AS lines_percent
FROM (
    SELECT
        namespace, revision, file,
        max(s.module) AS module,
        sum(s.functions_covered) AS functions_covered,
        sum(s.functions_total) AS functions_total,
        groupUniqArrayArray(s.executable) AS executable,
        arrayDistinct(arrayFlatten(arrayMap(r -> range(r.1, r.2 + 1), groupUniqArrayArray(s.ranges)))) AS executed,
        toUInt64(length(executable)) AS lines_total,
        toUInt64(length(arrayIntersect(executable, executed))) AS lines_covered
    FROM (
        SELECT namespace, revision, file, module,
            if(kind = 'function', functions_covered, 0) AS functions_covered,
            if(kind = 'function', functions, 0) AS functions_total,
            if(kind = 'function', executable_lines, []) AS executable,
            CAST([], 'Array(Tuple(UInt32, UInt32))') AS ranges
        FROM symbol_coverage
        UNION ALL
        SELECT namespace, revision, file, '', 0, 0, [], ranges
        FROM counted_lines
    ) AS s
    GROUP BY namespace, revision, file
    HAVING module != ''
) AS f
GROUP BY namespace, revision, module;
