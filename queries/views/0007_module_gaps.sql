-- Each module of the catalog: functions covered of all, and of the executable lines in their bodies. Nothing to cover is
-- 100 %. `functions_at_startup` are those of the others that ran when a process started. What class bodies execute, they execute when they are imported: before any profile is played.
CREATE OR REPLACE VIEW module_gaps AS
WITH
    files AS (
        SELECT namespace, revision, module, file,
            sumIf(c.functions_covered, c.kind = 'function') AS functions_covered,
            countIf(c.kind = 'function') AS functions_total,
            sumIf(c.functions_at_startup, c.kind = 'function') AS functions_at_startup,
            groupBitmapStateArrayIf(c.executable_lines, c.kind = 'function') AS executable
        FROM symbol_coverage AS c
        GROUP BY namespace, revision, module, file
    ),
    executed AS (
        SELECT namespace, revision, file, groupBitmapStateArray(l.lines) AS lines
        FROM counted_lines AS l
        GROUP BY namespace, revision, file
    )
SELECT
    f.namespace AS namespace, f.revision AS revision, f.module AS module,
    sum(f.functions_covered) AS functions_covered,
    sum(f.functions_total) AS functions_total,
    if(functions_total = 0, 100., round(100 * functions_covered / functions_total, 2)) AS percent,
    sum(bitmapAndCardinality(f.executable, e.lines)) AS lines_covered,
    sum(bitmapCardinality(f.executable)) AS lines_total,
    if(lines_total = 0, 100., round(100 * lines_covered / lines_total, 2)) AS lines_percent,
    sum(f.functions_at_startup) AS functions_at_startup
FROM files AS f
GLOBAL LEFT JOIN executed AS e ON e.namespace = f.namespace AND e.revision = f.revision AND e.file = f.file
GROUP BY namespace, revision, module;
