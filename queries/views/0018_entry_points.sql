-- Requests, jobs and commands, each once, however often its span was delivered.
CREATE OR REPLACE VIEW recorded_entries AS
SELECT
    namespace, revision, service, kind, entry_point, profile, run, trace, span,
    max(s.entry_symbol) AS symbol,
    max(s.duration) AS duration
FROM coverage_spans AS s
WHERE role IN ('server', 'consumer', 'process') AND entry_point != ''
GROUP BY namespace, revision, service, kind, entry_point, profile, run, trace, span;

-- Functions that traced code queued as jobs, or had wait until they can be.
CREATE OR REPLACE VIEW queued_functions AS
SELECT namespace, revision, service, profile, run, entry_point, max(q.started) AS last_seen
FROM coverage_spans AS q
WHERE role IN ('producer', 'pending') AND entry_point != ''
GROUP BY namespace, revision, service, profile, run, entry_point;

-- The requests, jobs and commands of the runs that count.
CREATE OR REPLACE VIEW entry_spans AS
SELECT *
FROM recorded_entries
WHERE (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs);

-- Each function that ran under an entry point in a run, with the profiles that executed it there and that count, in the
-- rows that the table holds, merged or not.
CREATE OR REPLACE VIEW counted_under_entry_points AS
SELECT
    namespace, revision, run, service, kind, entry_point, symbol,
    if(empty(u.uncounted), e.profiles, arrayFilter(profile -> NOT has(u.uncounted, profile), e.profiles)) AS profiles
FROM coverage_entry_points AS e
GLOBAL LEFT ANY JOIN (
    SELECT namespace, revision, run, groupArray(toString(profile)) AS uncounted
    FROM uncounted_runs
    GROUP BY namespace, revision, run
) AS u USING (namespace, revision, run);

-- Routes, jobs and commands, with what ran under each. Durations are of all of their requests, in milliseconds, and the
-- exemplar is the trace of the slowest. `lines` is NULL where lines were not recorded.
CREATE OR REPLACE VIEW entry_points AS
WITH
    functions AS (
        -- to put the names of their profiles together takes most of the time, and is not asked for
        SELECT namespace, revision, service, kind, entry_point, uniqExact(c.symbol) AS functions
        FROM counted_under_entry_points AS c
        WHERE notEmpty(c.profiles)
        GROUP BY namespace, revision, service, kind, entry_point
    ),
    lines AS (
        SELECT namespace, revision, service, kind, entry_point, sum(f.lines) AS lines
        FROM (
            SELECT namespace, revision, service, kind, entry_point, file,
                arrayMap(r -> (r.1, 1), groupUniqArrayArray(l.ranges)) AS begins,
                arrayMap(r -> (r.2 + 1, -1), groupUniqArrayArray(l.ranges)) AS ends,
                arraySort(arrayConcat(begins, ends)) AS boundaries,
                arraySum(
                    (at, open, next) -> if(open > 0, toInt64(next) - toInt64(at), 0),
                    boundaries.1, arrayCumSum(boundaries.2), arrayPushBack(arrayPopFront(boundaries.1), 0)
                ) AS lines
            FROM coverage_entry_point_lines AS l
            WHERE (namespace, revision, profile, run) GLOBAL NOT IN (
                SELECT namespace, revision, profile, run FROM uncounted_runs
            )
            GROUP BY namespace, revision, service, kind, entry_point, file
        ) AS f
        GROUP BY namespace, revision, service, kind, entry_point
    ),
    requests AS (
        SELECT
            namespace, revision, service, kind, entry_point,
            max(s.symbol) AS symbol,
            arraySort(groupUniqArray(toString(s.profile))) AS profiles,
            count() AS requests,
            quantilesExact(0.5, 0.95)(s.duration) AS durations,
            argMax(s.trace, (s.duration, s.trace)) AS exemplar_trace_id
        FROM entry_spans AS s
        GROUP BY namespace, revision, service, kind, entry_point
    )
SELECT
    r.namespace AS namespace, r.revision AS revision, r.service AS service, r.kind AS kind,
    r.entry_point AS entry_point, r.symbol AS symbol, r.profiles AS profiles, r.requests AS requests,
    f.functions AS functions,
    if(f.functions > 0 AND l.lines = 0, NULL, toUInt64(l.lines)) AS lines,
    round(r.durations[1] / 1e6, 3) AS p50_ms,
    round(r.durations[2] / 1e6, 3) AS p95_ms,
    r.exemplar_trace_id AS exemplar_trace_id
FROM requests AS r
GLOBAL LEFT ANY JOIN functions AS f USING (namespace, revision, service, kind, entry_point)
GLOBAL LEFT ANY JOIN lines AS l USING (namespace, revision, service, kind, entry_point);

-- Function → the entry points that lead to it, and the profiles that went that way. What a job executes is the job's,
-- also where a request queued it.
CREATE OR REPLACE VIEW symbol_entry_points AS
WITH extract(e.symbol, '@([0-9]+)$') AS line_text
SELECT
    namespace, revision,
    substring(e.symbol, 1, length(e.symbol) - position(reverse(e.symbol), ':')) AS module,
    substring(e.symbol, length(module) + 2, length(e.symbol) - length(module) - length(line_text) - 2) AS qualname,
    toUInt32OrZero(line_text) AS line,
    e.symbol AS symbol, service, kind, entry_point,
    e.profiles AS profiles
FROM (
    SELECT
        namespace, revision, service, kind, entry_point, symbol,
        if(count() = 1, arraySort(groupArrayArray(c.profiles)), arraySort(arrayDistinct(groupArrayArray(c.profiles)))) AS profiles
    FROM counted_under_entry_points AS c
    GROUP BY namespace, revision, service, kind, entry_point, symbol
    HAVING notEmpty(profiles)
) AS e;

-- Routes of the URL maps, and functions that are queued as jobs, that no profile reached at that revision. Nothing is
-- known of services that told no URL map. A HEAD request reaches what GET answers, and a job that any service performed
-- is reached, whichever service has queued it.
CREATE OR REPLACE VIEW entry_point_gaps AS
WITH
    reached AS (
        SELECT DISTINCT namespace, revision, kind,
            if(kind = 'job', '', toString(s.service)) AS service,
            arrayJoin(if(kind = 'job', [replaceAll(s.entry_point, ':', '.')], [
                toString(s.entry_point),
                replaceRegexpOne(s.entry_point, '^HEAD ', 'GET '),
                substring(s.entry_point, position(s.entry_point, ' ') + 1)
            ])) AS name
        FROM (SELECT DISTINCT namespace, revision, kind, service, entry_point FROM entry_spans) AS s
    ),
    told AS (
        SELECT namespace, revision, service, kind, rule, method,
            argMax(t.endpoint, t.last_seen) AS endpoint, argMax(t.symbol, t.last_seen) AS symbol
        FROM (
            SELECT namespace, revision, service, toString(kind) AS kind, rule, toString(method) AS method, endpoint,
                symbol, last_seen
            FROM code_routes
            UNION ALL
            SELECT namespace, revision, service, 'job', toString(q.entry_point), '', '', '', toDateTime64(q.last_seen, 6)
            FROM queued_functions AS q
            WHERE (namespace, revision, profile, run) GLOBAL NOT IN (
                SELECT namespace, revision, profile, run FROM uncounted_runs
            )
        ) AS t
        GROUP BY namespace, revision, service, kind, rule, method
    ),
    -- a job's function has two names where the process that queued it had not imported it
    named AS (
        SELECT namespace, revision, service, kind, method,
            leftUTF8(if(method = '', t.rule, concat(method, ' ', t.rule)), 1000) AS name,
            if(kind = 'job', replaceAll(name, ':', '.'), name) AS dotted,
            t.endpoint AS endpoint, t.symbol AS symbol
        FROM told AS t
    ),
    catalog AS (
        SELECT namespace, revision, concat(replaceAll(module, ':', '.'), '.', qualname) AS dotted,
            min(concat(module, ':', qualname, '@', toString(line))) AS symbol
        FROM symbol_catalog
        WHERE kind = 'function'
        GROUP BY namespace, revision, dotted
    )
SELECT
    namespace, revision, service, kind,
    max(g.entry_point) AS entry_point, max(g.symbol) AS symbol, method, max(g.endpoint) AS endpoint
FROM (
    SELECT n.namespace AS namespace, n.revision AS revision, n.service AS service, n.kind AS kind,
        if(n.kind = 'job' AND n.symbol = '', c.symbol, n.symbol) AS symbol,
        -- the colon says where the module's name ends
        if(n.kind = 'job' AND symbol != '' AND position(n.name, ':') = 0,
            replaceRegexpOne(symbol, '@[0-9]+$', ''), n.name) AS entry_point,
        n.dotted AS dotted, n.method AS method, n.endpoint AS endpoint
    FROM named AS n
    GLOBAL LEFT ANY JOIN catalog AS c USING (namespace, revision, dotted)
    WHERE (n.namespace, n.revision, n.kind, if(n.kind = 'job', '', toString(n.service)), n.dotted) GLOBAL NOT IN (
        SELECT namespace, revision, kind, service, name FROM reached
    )
) AS g
GROUP BY namespace, revision, service, kind, dotted, method;
