-- Functions that were added or changed since a revision, and that no profile reaches; at_startup: they run at start.
--
-- {base:String}  the revision to compare with; without its catalog every change is 'unknown'
-- table: change > symbol, end_line
WITH
    base AS (
        SELECT module, qualname, groupArray(digest) AS digests
        FROM symbol_coverage
        WHERE namespace = {namespace:String} AND revision = {base:String} AND kind = 'function'
        GROUP BY module, qualname
    )
SELECT
    multiIf((SELECT count() FROM base) = 0, 'unknown', empty(digests), 'added', 'changed') AS change,
    symbol, module, qualname, line, end_line, file, toBool(functions_at_startup > 0) AS at_startup
FROM symbol_coverage
LEFT JOIN base USING (module, qualname)
WHERE namespace = {namespace:String} AND revision = {revision:String}
    AND kind = 'function' AND functions_covered = 0 AND NOT has(digests, digest)
ORDER BY change, module, line, qualname;
