-- A revision in a line: the functions and lines that its profiles execute, as `totals` counts them, and faster.
--
-- The ranges of a file's lines are united before they are taken apart: most profiles execute the same ones.
WITH
    catalog AS (
        SELECT revision, file, count() AS functions, sum(s.functions_covered) AS covered,
            groupBitmapStateArray(s.executable_lines) AS executable
        FROM symbol_coverage AS s
        WHERE namespace = {namespace:String} AND revision = {revision:String} AND kind = 'function'
        GROUP BY revision, file
    ),
    executed AS (
        SELECT revision, file, groupBitmapStateArray(CAST(arrayFlatten(arrayMap(
            boundaries -> arrayMap(
                (at, open, next) -> if(open > 0, range(at, next), []),
                boundaries.1,
                arrayCumSum(boundaries.2),
                arrayPushBack(arrayPopFront(boundaries.1), 0)
            ),
            [arraySort(arrayConcat(arrayMap(r -> (r.1, 1), f.ranges), arrayMap(r -> (r.2 + 1, -1), f.ranges)))]
        )), 'Array(UInt32)')) AS lines
        FROM (
            SELECT revision, file, groupUniqArrayArray(l.ranges) AS ranges
            FROM counted_lines AS l
            WHERE namespace = {namespace:String} AND revision = {revision:String}
            GROUP BY revision, file
        ) AS f
        GROUP BY revision, file
    ),
    covered AS (
        SELECT c.revision AS revision,
            sum(c.covered) AS functions_covered,
            sum(c.functions) AS functions_total,
            sum(bitmapAndCardinality(c.executable, e.lines)) AS lines_covered,
            sum(bitmapCardinality(c.executable)) AS lines_total
        FROM catalog AS c
        LEFT JOIN executed AS e ON e.revision = c.revision AND e.file = c.file
        GROUP BY c.revision
    ),
    counted AS (
        SELECT revision, count() AS functions
        FROM executed_functions
        WHERE namespace = {namespace:String} AND revision = {revision:String}
        GROUP BY revision
    )
SELECT
    r.revision AS revision,
    n.functions AS functions,
    c.functions_covered AS functions_covered,
    c.functions_total AS functions_total,
    if(functions_total = 0, NULL, round(100 * functions_covered / functions_total, 2)) AS percent,
    c.lines_covered AS lines_covered,
    c.lines_total AS lines_total,
    if(lines_total = 0, NULL, round(100 * lines_covered / lines_total, 2)) AS lines_percent
FROM (
    SELECT DISTINCT revision
    FROM (
        SELECT namespace, revision FROM coverage_runs
        UNION ALL
        SELECT namespace, revision FROM code_symbols
    ) AS e
    WHERE namespace = {namespace:String} AND revision = {revision:String}
) AS r
LEFT JOIN counted AS n ON n.revision = r.revision
LEFT JOIN covered AS c ON c.revision = r.revision;
