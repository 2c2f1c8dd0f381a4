-- What each table holds and takes: rows, parts, megabytes on disk and before compression.
SELECT
    t.name AS table,
    sum(p.rows) AS rows,
    countIf(p.rows > 0) AS parts,
    round(sum(p.bytes_on_disk) / 1e6, 2) AS megabytes,
    round(sum(p.data_uncompressed_bytes) / 1e6, 2) AS megabytes_uncompressed
FROM system.tables AS t
LEFT JOIN (
    SELECT table, rows, bytes_on_disk, data_uncompressed_bytes
    FROM system.parts
    WHERE database = currentDatabase() AND active
) AS p ON p.table = t.name
WHERE t.database = currentDatabase() AND endsWith(t.engine, 'MergeTree')
GROUP BY table
ORDER BY megabytes DESC, table;
