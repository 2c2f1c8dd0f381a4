-- The catalog of each revision: its newest push.
CREATE OR REPLACE VIEW symbol_catalog AS
SELECT namespace, revision, module, qualname, line, kind, file, end_line, parent, executable_lines, digest
FROM code_symbols
WHERE (namespace, revision, pushed_at) GLOBAL IN (
    SELECT namespace, revision, max(pushed_at) FROM code_symbols GROUP BY namespace, revision
);

-- The catalog with what was executed of it: for a function itself, for a class the functions that it holds. A class that
-- holds none has `functions` 0: neither covered nor a gap.
CREATE OR REPLACE VIEW symbol_coverage AS
SELECT
    namespace, revision, module,
    entry.qualname AS qualname,
    entry.line AS line,
    concat(module, ':', qualname, '@', toString(line)) AS symbol,
    entry.kind AS kind,
    entry.file AS file,
    entry.end_line AS end_line,
    entry.parent AS parent,
    entry.executable_lines AS executable_lines,
    entry.digest AS digest,
    -- conditional definitions give two classes one name: the lines tell whose a method is
    toUInt32(if(kind = 'class',
        arrayCount(m -> m.parent = qualname AND m.line BETWEEN line AND end_line, methods),
        1)) AS functions,
    toUInt32(if(kind = 'class',
        arrayCount(m -> m.executed AND m.parent = qualname AND m.line BETWEEN line AND end_line, methods),
        entry.executed)) AS functions_covered
FROM (
    SELECT
        namespace, revision, module,
        groupArray(CAST(
            (qualname, line, kind, file, end_line, parent, executable_lines, digest, executed),
            'Tuple(qualname String, line UInt32, kind String, file String, end_line UInt32, parent String,
                   executable_lines Array(UInt32), digest String, executed Bool)'
        )) AS symbols,
        groupArrayIf(
            CAST((parent, line, executed), 'Tuple(parent String, line UInt32, executed Bool)'),
            kind = 'function' AND parent != ''
        ) AS methods
    FROM (
        SELECT
            namespace, revision, module, qualname, line,
            max(s.kind) AS kind, max(s.file) AS file, max(s.end_line) AS end_line, max(s.parent) AS parent,
            max(s.executable_lines) AS executable_lines, max(s.digest) AS digest, max(s.executed) AS executed
        FROM (
            SELECT namespace, revision, module, qualname, line, kind, file, end_line, parent, executable_lines,
                digest, false AS executed
            FROM symbol_catalog
            UNION ALL
            SELECT namespace, revision, module, qualname, line, '', '', 0, '', [], '', true
            FROM executed_functions
        ) AS s
        GROUP BY namespace, revision, module, qualname, line
        HAVING kind != ''
    )
    GROUP BY namespace, revision, module
)
ARRAY JOIN symbols AS entry;
