-- The catalog of each revision: its newest push, each symbol once.
CREATE OR REPLACE VIEW symbol_catalog AS
SELECT
    namespace, revision, module, qualname, line,
    any(s.kind) AS kind, any(s.file) AS file, any(s.end_line) AS end_line, any(s.parent) AS parent,
    any(s.executable_lines) AS executable_lines, any(s.digest) AS digest
FROM code_symbols AS s
WHERE (namespace, revision, pushed_at) GLOBAL IN (
    SELECT namespace, revision, max(pushed_at) FROM code_symbols GROUP BY namespace, revision
)
GROUP BY namespace, revision, module, qualname, line;

-- The catalog with what was executed of it: for a function itself, for a class the functions that it holds. A class that
-- holds none has `functions` 0: neither covered nor a gap. `functions_at_startup` counts those that no profile executed,
-- and that ran when a process started.
CREATE OR REPLACE VIEW symbol_coverage AS
WITH
    executed AS (
        SELECT DISTINCT namespace, revision, module, qualname, line, true AS executed
        FROM coverage_by_symbol
        -- in a run of which every profile counts there is no need to look at each
        ARRAY JOIN if(
            (namespace, revision, run) GLOBAL IN (SELECT namespace, revision, run FROM uncounted_runs), profiles, ['']
        ) AS profile
        WHERE (namespace, revision, profile, run) GLOBAL NOT IN (
            SELECT namespace, revision, toString(u.profile), run FROM uncounted_runs AS u
        )
    ),
    started AS (
        SELECT DISTINCT namespace, revision, module, qualname, line, true AS at_startup FROM coverage_startup
    ),
    known AS (
        SELECT *, if(kind = 'class', qualname, parent) AS class,
            -- conditional definitions give two classes one name: a method belongs to the last one that begins before it
            countIf(kind = 'class') OVER (PARTITION BY namespace, revision, module, class ORDER BY line, kind) AS definition
        FROM symbol_catalog
        GLOBAL LEFT ANY JOIN executed USING (namespace, revision, module, qualname, line)
        GLOBAL LEFT ANY JOIN started USING (namespace, revision, module, qualname, line)
    )
SELECT
    namespace, revision, module, qualname, line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    kind, file, end_line, parent, executable_lines, digest,
    toUInt32(if(kind = 'class', countIf(kind = 'function') OVER methods, 1)) AS functions,
    toUInt32(if(kind = 'class', countIf(kind = 'function' AND executed) OVER methods, executed)) AS functions_covered,
    toUInt32(if(
        kind = 'class',
        countIf(kind = 'function' AND at_startup AND NOT executed) OVER methods,
        at_startup AND NOT executed
    )) AS functions_at_startup
FROM known
WINDOW methods AS (PARTITION BY namespace, revision, module, class, definition);

-- What no profile executed: functions, and classes none of whose functions ran. `at_startup`: it ran when a process
-- started, and only then; false where starts were not recorded.
CREATE OR REPLACE VIEW coverage_gaps AS
SELECT namespace, revision, module, qualname, line, symbol, kind, file, end_line, parent,
    toUInt32(length(executable_lines)) AS executable_lines, toBool(functions_at_startup > 0) AS at_startup
FROM symbol_coverage
WHERE functions > 0 AND functions_covered = 0;
