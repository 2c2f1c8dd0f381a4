-- Functions that were added or changed since a revision, and that no profile reaches.
--
-- {base:String}  the revision to compare with; without its catalog every change is 'unknown'
-- {revision:String} = ''  empty: the newest that was traced
-- {namespace:String} = ''  service.namespace: the services that share one source tree
WITH (
    SELECT count() FROM symbol_coverage WHERE namespace = {namespace:String} AND revision = {base:String}
) AS base_symbols
SELECT
    multiIf(base_symbols = 0, 'unknown', empty(b.shapes), 'added', 'changed') AS change,
    n.symbol AS symbol, n.module AS module, n.qualname AS qualname, n.line AS line, n.end_line AS end_line, n.file AS file
FROM (
    SELECT symbol, module, qualname, line, end_line, file, digest,
        (end_line - line, arrayMap(number -> number - line, executable_lines)) AS shape
    FROM symbol_coverage
    WHERE namespace = {namespace:String} AND revision = {revision:String}
        AND kind = 'function' AND functions_covered = 0
) AS n
LEFT JOIN (
    SELECT module, qualname, groupArray(digest) AS digests,
        groupArray((end_line - line, arrayMap(number -> number - line, executable_lines))) AS shapes
    FROM symbol_coverage
    WHERE namespace = {namespace:String} AND revision = {base:String} AND kind = 'function'
    GROUP BY module, qualname
) AS b ON b.module = n.module AND b.qualname = n.qualname
-- without digests a change shows in the number and the places of a function's lines
WHERE NOT if(n.digest = '' OR has(b.digests, ''), has(b.shapes, n.shape), has(b.digests, n.digest))
ORDER BY change, module, line, qualname;
