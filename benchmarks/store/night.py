"""A night of replays, made inside the engine: which profile executes which functions."""

from __future__ import annotations

from dataclasses import dataclass

from otel_coverage.store import Store

_COLUMNS = (
    "Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, SpanAttributes,"
    " Duration, StatusCode"
)

_SPANS = """
INSERT INTO night
WITH
    number + {first:UInt64} AS n,
    -- some profiles are played at a time, each for its share of the night
    (intDiv(n % {night:UInt64}, {together:UInt64} * {each:UInt64}) * {together:UInt64} + n % {together:UInt64})
        % {profiles:UInt64} AS profile,
    -- ranks by Zipf and Mandelbrot, one from each of as many equally likely shares as the span has functions: how
    -- likely a rank is falls as 1 / (rank + 100)
    arrayMap(i -> least(toUInt64(
        100 * pow(
            ({reach:UInt64} + 100) / 100,
            (i + xxHash64(n, i) / 18446744073709551616.) / {functions:UInt64}
        ) - 100
    ), {reach:UInt64} - 1), range({functions:UInt64})) AS ranks,
    -- the first ranks are the same functions for every profile; of the others each has its own order
    arrayMap(rank -> if(rank < {shared:UInt64}, rank,
        {shared:UInt64} + (rank * 7919 + profile * 104729) % ({symbols:UInt64} - {shared:UInt64})), ranks) AS drawn,
    arraySort(arrayDistinct(drawn)) AS executed,
    -- a replay of a profile is a trace
    lower(hex(MD5(concat(toString(profile), ' ', toString(intDiv(n, {night:UInt64})))))) AS trace
SELECT
    toDateTime64('2026-01-01 00:00:00', 9, 'UTC') + toIntervalMillisecond(n * 20),
    trace,
    lower(hex(xxHash64('answer', n))),
    lower(hex(xxHash64('request', n))),
    'POST /orders', 'Server', 'web',
    map('service.name', 'web', 'vcs.ref.head.revision', 'night'),
    map(
        'playback.profile', concat('profile-', leftPad(toString(profile), 3, '0')),
        'playback.run_id', 'night-1',
        'coverage.role', 'server',
        'coverage.complete', 'true',
        'coverage.engine', 'monitoring',
        'coverage.granularity', if({lines:Bool}, 'line', 'function'),
        'coverage.function_count', toString(length(executed)),
        'coverage.line_count', toString(if({lines:Bool}, 9 * length(executed), 0)),
        'coverage.lines', if({lines:Bool}, concat('["', arrayStringConcat(arrayMap(s -> concat(
            'shop/package', toString(intDiv(s, 400)), '/module', toString(intDiv(s, 20)), '.py:',
            toString(11 + s % 20 * 30), '-', toString(19 + s % 20 * 30)
        ), executed), '","'), '"]'), '[]'),
        'coverage.functions', concat('["', arrayStringConcat(arrayMap(s -> concat(
            'shop.package', toString(intDiv(s, 400)), '.module', toString(intDiv(s, 20)), ':Service',
            toString(s % 20), '.handle_', toString(s), '@', toString(10 + s % 20 * 30)
        ), executed), '","'), '"]')
    ),
    5000000, 'Ok'
FROM numbers({spans:UInt64})
"""

# the playback client's own spans: one for each request, and before a night those that all of a replay's are in
_PLAYBACK = """
INSERT INTO night
SELECT
    Timestamp, TraceId, ParentSpanId, lower(hex(xxHash64('replay', TraceId))), SpanName, 'Client', 'playback',
    map('service.name', 'playback'),
    map(
        'playback.profile', SpanAttributes['playback.profile'],
        'playback.run_id', SpanAttributes['playback.run_id'],
        'coverage.role', 'client'
    ),
    6000000, 'Ok'
FROM night
UNION ALL
SELECT
    toDateTime64('2026-01-01 00:00:00', 9, 'UTC'),
    lower(hex(MD5(concat(toString(number), ' ', toString(intDiv({first:UInt64}, {night:UInt64})))))) AS trace,
    lower(hex(xxHash64('replay', trace))),
    '', 'playback', 'Internal', 'playback',
    map('service.name', 'playback'),
    map(
        'playback.profile', concat('profile-', leftPad(toString(number), 3, '0')),
        'playback.run_id', 'night-1',
        'playback.outcome', 'passed'
    ),
    6000000000, 'Ok'
FROM numbers({profiles:UInt64})
WHERE {first:UInt64} % {night:UInt64} = 0
"""

_CATALOG = """
INSERT INTO code_symbols (revision, module, qualname, line, kind, file, end_line, executable_lines, pushed_at)
SELECT 'night', concat('shop.package', toString(intDiv(number, 400)), '.module', toString(intDiv(number, 20))),
    concat('Service', toString(number % 20), '.handle_', toString(number)), 10 + number % 20 * 30, 'function',
    concat('shop/package', toString(intDiv(number, 400)), '/module', toString(intDiv(number, 20)), '.py'),
    20 + number % 20 * 30, range(11 + number % 20 * 30, 20 + number % 20 * 30), toDateTime64('2026-01-01 00:00:00', 6)
FROM numbers({symbols:UInt64})
"""

# the night's pairs again, but for some functions: at another revision, eight profiles in two runs
_EVENING = f"""
INSERT INTO otel_traces ({_COLUMNS})
SELECT
    toDateTime64('2025-12-31 18:00:00', 9, 'UTC'), concat(run, ' ', profile) AS trace, 'answer', '',
    'POST /orders', 'Server', 'web',
    map('service.name', 'web', 'vcs.ref.head.revision', 'evening'),
    map(
        'playback.profile', profile,
        'playback.run_id', run,
        'coverage.role', 'server',
        'coverage.complete', 'true',
        'coverage.function_count', toString(length(executed)),
        'coverage.functions', concat('["', arrayStringConcat(executed, '","'), '"]')
    ),
    5000000, 'Ok'
FROM (
    SELECT toString(f.profile) AS profile, each AS run,
        groupUniqArray(concat(module, ':', qualname, '@', toString(line))) AS executed
    FROM coverage_functions AS f
    ARRAY JOIN if(f.profile < 'profile-008', ['evening-1', 'evening-2'], ['evening-1']) AS each
    WHERE revision = 'night' AND line != if(each = 'evening-1', 40, 70)
    GROUP BY profile, run
)
"""


@dataclass(frozen=True, slots=True)
class Night:
    """What a night is made of.

    Attributes:
        profiles: how many there are.
        symbols: functions in the catalog.
        spans: spans of one night; later ones are another night of the same.
        together: profiles that are played at the same time.
        functions: functions that a span executes.
        reach: functions that a profile executes in time; all profiles have the first twelfth of them in common.
        lines: whether their lines are recorded too, nine for each.
    """

    profiles: int
    symbols: int
    spans: int
    together: int
    functions: int
    reach: int
    lines: bool

    def prepare(self, store: Store) -> None:
        """Push the catalog; make room for spans that wait to be inserted."""
        store.command(_CATALOG, {"symbols": self.symbols})
        store.command(f"CREATE TABLE IF NOT EXISTS night ENGINE = Memory AS SELECT {_COLUMNS} FROM otel_traces LIMIT 0")

    def make(self, store: Store, first: int, spans: int) -> int:
        """Make some spans, and have them wait.

        Returns:
            How many functions they executed, all added up.
        """
        store.command("TRUNCATE TABLE night")
        store.command(
            _SPANS,
            {
                "first": first,
                "spans": spans,
                "night": self.spans,
                "together": self.together,
                "each": self.spans // self.profiles,
                "profiles": self.profiles,
                "symbols": self.symbols,
                "functions": self.functions,
                "reach": self.reach,
                "shared": self.reach // 12,
                "lines": self.lines,
            },
        )
        store.command(_PLAYBACK, {"first": first, "night": self.spans, "profiles": self.profiles})
        counted = "SELECT sum(toUInt64OrZero(SpanAttributes['coverage.function_count'])) FROM night"
        return int(store.query(counted).rows[0][0])

    def insert(self, store: Store) -> None:
        """Insert the spans that wait, as a collector does: by one statement, into otel_traces alone."""
        store.command(f"INSERT INTO otel_traces ({_COLUMNS}) SELECT * FROM night")

    def evening(self, store: Store) -> None:
        """Put an evening of as many pairs beside the night, at a revision of its own."""
        store.command(_EVENING)
