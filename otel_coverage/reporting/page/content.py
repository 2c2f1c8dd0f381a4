"""What the page shows: the answers of named queries, coded by integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from otel_coverage.reporting.caveats import caveats
from otel_coverage.reporting.changes.comparison import Comparison
from otel_coverage.reporting.heading import SCHEMA_VERSION
from otel_coverage.reporting.history import Point
from otel_coverage.reporting.page.blocks import Numbers, Sets, json_block, zigzag
from otel_coverage.reporting.page.changes import add_changes, baseline_head, changes_block
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.reporting.smallest_set import smallest_of
from otel_coverage.reporting.times import timestamp

Row = Mapping[str, Any]

# bits of a symbol
_CLASS, _UNCATALOGED, _AT_STARTUP = 1, 2, 4

_PROFILE = (
    "functions",
    "functions_covered",
    "percent",
    "lines_covered",
    "lines_percent",
    "runs",
    "failed_runs",
    "counted_runs",
    "requests",
    "jobs",
    "pending",
    "complete",
    "incomplete_reasons",
    "incomplete_details",
    "first_seen",
    "last_seen",
    "exemplar_trace_id",
)
# as the page calls them
_ENTRY_POINT = {
    "service": "service",
    "kind": "kind",
    "name": "entry_point",
    "symbol": "symbol",
    "requests": "requests",
    "functions": "functions",
    "lines": "lines",
    "p50": "p50_ms",
    "p95": "p95_ms",
    "trace": "exemplar_trace_id",
}
_ENTRY_POINT_OF_PROFILE = ("requests", "functions", "p50_ms", "p95_ms", "exemplar_trace_id")
_ENTRY_POINT_GAP = {"service": "service", "kind": "kind", "name": "entry_point", "symbol": "symbol"}
_NOT_IN_CATALOG = {"kind": "", "file": "", "executable_lines": ()}
_RUN = ("run", "first_seen", "last_seen", "outcome", "counted", "complete", "requests", "jobs", "missing", "evidence")


def content(
    queries: RevisionQueries,
    notes: Sequence[str] = (),
    links: Mapping[str, object] | None = None,
    *,
    comparison: Comparison | None = None,
    history: Sequence[Point] = (),
) -> dict[str, bytes]:
    """The page's blocks of data, by name; `web/src/data/model.ts` says what each holds.

    Args:
        queries: what to read, of an open store.
        notes: sentences about what the report could not do.
        links: addresses, by what they lead to.
        comparison: what changed since the baseline; None without one.
        history: the last revisions, the oldest first.

    Raises:
        StoreError: the engine refuses.
    """
    profiles = [str(row["profile"]) for row in queries.profiles]
    numbers = {name: number for number, name in enumerate(profiles)}
    sets = Sets(len(profiles))
    columns = Numbers()
    known = list(caveats(queries))
    symbols, names = _add_symbols(columns, sets, queries)
    entry_points = queries.entry_points
    entry_sets = _add_entry_points(columns, queries, symbols, entry_points)
    changes: dict[str, bytes] = {}
    if comparison is not None:
        add_changes(columns, comparison, symbols)
        changes["changes"] = changes_block(comparison, sets, symbols, numbers)
    functions = dict(zip(profiles, queries.executed.sets, strict=True))
    head = {
        "schema_version": SCHEMA_VERSION,
        "revision": queries.revision,
        "namespace": queries.namespace,
        "services": list(queries.services),
        "selection": queries.selection.document,
        "newest_span": timestamp(queries.newest_span),
        "runs": queries.run_count,
        "complete": queries.complete,
        "problems": list(queries.problems),
        "caveats": known,
        "notes": [note for note in notes if note not in queries.problems and note not in known],
        "catalog": queries.has_catalog,
        "startup": bool(queries.totals["startup_recorded"]),
        "totals": {name: _plain(value) for name, value in queries.totals.items()},
        "links": dict(links or {}),
        "profiles": _profiles(queries, numbers),
        "smallest_set": [{**asdict(step), "profile": numbers[step.profile]} for step in smallest_of(functions)],
        "columns": columns.columns,
        "set_width": sets.width,
        "entry_set_width": entry_sets.width,
        "entry_points": [
            {
                **{name: _plain(row[column]) for name, column in _ENTRY_POINT.items()},
                "profiles": sets.number(numbers[name] for name in row["profiles"] if name in numbers),
            }
            for row in entry_points
        ],
        "entry_point_gaps": [
            {name: row[column] for name, column in _ENTRY_POINT_GAP.items()} for row in queries.entry_point_gaps
        ],
        "url_maps": queries.url_maps,
        "baseline": None if comparison is None else baseline_head(comparison),
        "history": [asdict(point) for point in history],
    }
    return {
        "head": json_block(head),
        "names": json_block(names),
        "numbers": columns.content,
        "sets": sets.content,
        "entry-sets": entry_sets.content,
        **changes,
    }


def _add_symbols(columns: Numbers, sets: Sets, queries: RevisionQueries) -> tuple[list[str], dict[str, Any]]:
    """Add the columns about symbols and their lines; return the symbols, and the names that the columns count from."""
    executed = queries.executed
    rows = {row["symbol"]: row for row in queries.catalog}
    found = {symbol: number for number, symbol in enumerate(executed.symbols)}
    exemplars = executed.table["exemplar_trace_id"].to_pylist()
    for row in executed.rows:
        rows.setdefault(row["symbol"], {**row, **_NOT_IN_CATALOG, "end_line": row["line"]})
    symbols = sorted(rows.values(), key=lambda row: (row["module"], row["line"], row["qualname"]))
    modules = {name: number for number, name in enumerate(dict.fromkeys(row["module"] for row in symbols))}
    files = dict.fromkeys(modules, "")
    traces: dict[str, int] = {}
    of_symbols: list[tuple[int, int, int, int, int, int]] = []
    of_lines: list[tuple[int, int]] = []
    line_sets = _line_sets(queries, sets)
    last_module, last_line = 0, 0
    for row in symbols:
        module, line, symbol = modules[row["module"]], row["line"], row["symbol"]
        files[row["module"]] = files[row["module"]] or row["file"]
        hit = found.get(symbol)
        own = 0 if hit is None else sets.number(executed.by_symbol[hit])
        trace = "" if hit is None else exemplars[hit]
        kind = _CLASS if row["kind"] == "class" else 0
        kind |= (0 if row["kind"] else _UNCATALOGED) | (_AT_STARTUP if row.get("at_startup") else 0)
        if module != last_module:
            last_line = 0
        of_symbols.append(
            (
                module - last_module,
                zigzag(line - last_line),
                max(row["end_line"] - line, 0),
                kind,
                own,
                traces.setdefault(trace, len(traces) + 1) if trace else 0,
            )
        )
        last_module, last_line = module, line
        of_file, at, lines = line_sets.get(row["file"], {}), line, sorted(row["executable_lines"])
        of_lines.append((len(lines), 0))
        for each in lines:
            line_set = of_file.get(each, 0)
            # most lines are executed by the profiles that execute the function
            of_lines.append((zigzag(each - at), 1 if line_set and line_set == own else line_set + 1 if line_set else 0))
            at = each
    for position, name in enumerate(("module", "line", "length", "kind", "set", "trace")):
        columns.add(f"symbol.{name}", [values[position] for values in of_symbols])
    columns.add("line.step", [step for step, _ in of_lines])
    columns.add("line.set", [number for _, number in of_lines])
    names = {
        "modules": list(modules),
        "files": [files[name] for name in modules],
        "qualnames": [row["qualname"] for row in symbols],
        "traces": list(traces),
    }
    return [row["symbol"] for row in symbols], names


def _add_entry_points(
    columns: Numbers, queries: RevisionQueries, symbols: Iterable[str], entry_points: Iterable[Row]
) -> Sets:
    """Add the column that says which entry points lead to each symbol; return the sets that it counts from."""
    numbers = {_entry_point(row): number for number, row in enumerate(entry_points)}
    leading: dict[str, list[int]] = {}
    for each in queries.reached:
        number = numbers.get(each.entry_point)
        if number is not None:
            leading.setdefault(each.symbol, []).append(number)
    sets = Sets(len(numbers))
    columns.add("symbol.entries", [sets.number(leading.get(symbol, ())) for symbol in symbols])
    return sets


def _entry_point(row: Row) -> tuple[str, str, str]:
    return row["service"], row["kind"], row["entry_point"]


def _line_sets(queries: RevisionQueries, sets: Sets) -> dict[str, dict[int, int]]:
    """The number of the set of profiles that execute each line, by file and line."""
    found: dict[str, dict[int, int]] = {}
    for file, lines, profiles in queries.executed_lines:
        number = sets.number(profiles)
        found.setdefault(file, {}).update(dict.fromkeys(lines, number))
    return found


def _profiles(queries: RevisionQueries, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    redundancy = {row["profile"]: row for row in queries.redundancy}
    runs: dict[str, list[dict[str, Any]]] = {}
    for row in queries.runs:
        runs.setdefault(row["profile"], []).append({name: _plain(row[name]) for name in _RUN})
    positions = {_entry_point(row): number for number, row in enumerate(queries.entry_points)}
    reached: dict[str, list[list[Any]]] = {}
    for row in queries.profile_entry_points:
        if (position := positions.get(_entry_point(row))) is not None:
            figures = [row[name] for name in _ENTRY_POINT_OF_PROFILE]
            reached.setdefault(row["profile"], []).append([position, *figures])
    documents = []
    for row in queries.profiles:
        name = row["profile"]
        others = redundancy.get(name, {"unique_functions": None, "contained_in": []})
        documents.append(
            {
                "name": name,
                **{column: _plain(row[column]) for column in _PROFILE},
                "doubts": doubts(row),
                "unique": others["unique_functions"],
                "contained_in": [numbers[other] for other in others["contained_in"] if other in numbers],
                "played": runs.get(name, []),
                "entry_points": reached.get(name, []),
            }
        )
    return documents


def _plain(value: Any) -> Any:
    return timestamp(value) if isinstance(value, datetime) else value
