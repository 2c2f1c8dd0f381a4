-- What no profile executed, of what the catalog of a revision holds: functions, and classes none of whose functions ran.
CREATE OR REPLACE VIEW coverage_gaps AS
SELECT namespace, revision, module, qualname, line, symbol, kind, file, end_line, parent
FROM symbol_coverage
WHERE functions > 0 AND functions_covered = 0;
