"""``matrix.{json,csv,parquet}``: what each profile executes.

The JSON has who executes what. The CSV and Parquet files also say when, and name a trace, for each of the pairs: these
are asked for some profiles at a time, for there may be millions of them, with a number in the place of the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from otel_coverage.reporting.arrow import NAME, TIME, joined, parquet_file, steps_as_json
from otel_coverage.reporting.executed import NUMBER, ExecutedFunctions
from otel_coverage.reporting.files import Json, Wanted, csv_line, every_file, write_json
from otel_coverage.reporting.heading import heading
from otel_coverage.reporting.queries import RevisionQueries
from otel_coverage.reporting.times import timestamp

CSV = "matrix.csv"

_PAIRS = 200_000  # that are in memory at a time

# the rows of the view coverage_matrix before it merges them: the engine takes five times as long to do that
_SQL = f"""
SELECT toValidUTF8(toString(f.profile)) AS name, {NUMBER.format(row="f")} AS number,
    first_seen, last_seen, toValidUTF8(exemplar_trace_id) AS trace
FROM coverage_functions AS f
WHERE namespace = {{namespace:String}} AND revision = {{revision:String}} AND f.profile IN {{some:Array(String)}}
    AND (namespace, revision, profile, run) GLOBAL NOT IN (SELECT namespace, revision, profile, run FROM uncounted_runs)
"""  # noqa: S608 - constants
_ANSWER = pa.schema(
    {"name": pa.string(), "number": pa.uint64(), "first_seen": TIME, "last_seen": TIME, "trace": pa.string()}
)
_MERGED = ["profile", "symbol", "first_seen_min", "last_seen_max", "trace_first"]
_COLUMNS = pa.schema(
    {
        "profile": NAME,
        "symbol": NAME,
        "module": NAME,
        "qualname": NAME,
        "line": pa.uint32(),
        "first_seen": TIME,
        "last_seen": TIME,
        "exemplar_trace_id": pa.string(),
    }
)


def write_matrix(queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
    """Write the three files.

    Args:
        queries: what to read.
        folder: where to write.
        wants: which of them are written.
    """
    executed = queries.executed
    if wants("matrix.json"):
        pairs = map(Json, steps_as_json(executed.of_profiles))
        document = {**heading(queries), "symbols": executed.symbols, "matrix": pairs}
        write_json(folder / "matrix.json", document)
    if not wants(CSV) and not wants("matrix.parquet"):
        return
    with ExitStack() as files:
        add: list[Callable[[pa.Table], None]] = []
        if wants("matrix.parquet"):
            table = files.enter_context(parquet_file(folder / "matrix.parquet", _COLUMNS))
            names = _names(executed)
            add.append(lambda pairs: table.write_table(_table(pairs, names)))
        if wants(CSV):
            text = files.enter_context((folder / CSV).open("wb"))
            text.write(csv_line(_COLUMNS.names).encode())
            cells = _cells(executed)
            add.append(lambda pairs: text.writelines([_lines(pairs, cells)]))
        for pairs in _batches(queries):
            for each in add:
                each(pairs)


def least_csv_size(executed: ExecutedFunctions) -> int:
    """Bytes that ``matrix.csv`` has at least: what is not known before it is written is not counted."""
    rest = 2 * len("2026-01-01T00:00:00.000000Z,") + len("\n")
    profiles = zip(executed.profiles, executed.by_profile, strict=True)
    symbols = zip(_symbol_cells(executed), executed.by_symbol, strict=True)
    return sum(len(functions) * (len(csv_line([name], end=",").encode()) + rest) for name, functions in profiles) + sum(
        len(names) * len(cells.encode()) for cells, names in symbols
    )


def _batches(queries: RevisionQueries) -> Iterator[pa.Table]:
    """All pairs by profile and function, as positions: profile, symbol, first_seen, last_seen, trace."""
    executed = queries.executed
    profiles, numbers = pa.array(executed.profiles, pa.string()), executed.table["number"].combine_chunks()
    for some in _groups(executed):
        found = queries.columns(_SQL, _ANSWER, some=some)
        columns = {
            "profile": pc.index_in(found["name"], profiles),
            "symbol": pc.index_in(found["number"], numbers),
            **{name: found[name] for name in ("first_seen", "last_seen", "trace")},
        }
        pairs = pa.table(columns)
        if columns["symbol"].null_count:  # what came in since the functions were asked for is in no file
            pairs = pairs.filter(pc.is_valid(columns["symbol"]))
        yield _merged(pairs).combine_chunks()


def _merged(rows: pa.Table) -> pa.Table:
    """The rows by profile and function, those of several runs, services or parts of the table as one."""
    key = pc.add(pc.multiply(rows["profile"].cast(pa.int64()), 1 << 32), rows["symbol"].cast(pa.int64()))
    order = pc.sort_indices(key)
    key, rows = key.take(order), rows.take(order)
    if not pc.any(pc.equal(key[1:], key[:-1])).as_py():
        return rows
    groups = rows.sort_by([("profile", "ascending"), ("symbol", "ascending"), ("trace", "ascending")])
    found = groups.group_by(["profile", "symbol"], use_threads=False)  # the groups stay in order
    merged = found.aggregate([("first_seen", "min"), ("last_seen", "max"), ("trace", "first")])
    return pa.table(dict(zip(rows.column_names, merged.select(_MERGED).columns, strict=True)))


def _groups(executed: ExecutedFunctions) -> Iterator[list[str]]:
    """Profiles that execute something, some at a time."""
    some: list[str] = []
    pairs = 0
    for name, functions in zip(executed.profiles, executed.by_profile, strict=True):
        if some and pairs + len(functions) > _PAIRS:
            yield some
            some, pairs = [], 0
        if functions:
            some.append(name)
        pairs += len(functions)
    if some:
        yield some


def _names(executed: ExecutedFunctions) -> dict[str, pa.Array]:
    """What the positions of functions and profiles stand for in the Parquet file."""
    table = executed.table
    return {
        "profile": pa.array(executed.profiles, pa.string()),
        "symbol": pa.array(executed.symbols, pa.string()),
        **{name: table[name].combine_chunks().dictionary_encode() for name in ("module", "qualname")},
        "line": table["line"].combine_chunks(),
    }


def _table(pairs: pa.Table, names: Mapping[str, pa.Array]) -> pa.Table:
    """The rows of the Parquet file."""
    profile, symbol = (pairs[name].combine_chunks() for name in ("profile", "symbol"))
    columns = {
        "profile": pa.DictionaryArray.from_arrays(profile, names["profile"]),
        "symbol": pa.DictionaryArray.from_arrays(symbol, names["symbol"]),
        **{name: names[name].take(symbol) for name in ("module", "qualname", "line")},
        "first_seen": pairs["first_seen"],
        "last_seen": pairs["last_seen"],
        "exemplar_trace_id": pairs["trace"],
    }
    return pa.table({name: columns[name] for name in _COLUMNS.names}, schema=_COLUMNS)


def _symbol_cells(executed: ExecutedFunctions) -> list[str]:
    return [csv_line([row["symbol"], row["module"], row["qualname"], row["line"]], end=",") for row in executed.rows]


def _cells(executed: ExecutedFunctions) -> dict[str, pa.Array]:
    """What the positions of functions and profiles stand for in the CSV file."""
    return {
        "profile": pa.array([csv_line([name], end=",") for name in executed.profiles], pa.string()),
        "symbol": pa.array(_symbol_cells(executed), pa.string()),
    }


def _lines(pairs: pa.Table, cells: Mapping[str, pa.Array]) -> pa.Buffer:
    """The lines of the CSV file. What repeats is written out once, and the rest is done on columns."""
    parts = [cells[name].take(pairs[name].combine_chunks()) for name in ("profile", "symbol")]
    for name in ("first_seen", "last_seen"):
        found = pairs[name].combine_chunks().dictionary_encode()
        moments = [f"{timestamp(moment)}," for moment in found.dictionary.to_pylist()]
        parts.append(pa.array(moments, pa.string()).take(found.indices))
    found = pairs["trace"].combine_chunks().dictionary_encode()
    traces = [csv_line([trace]) for trace in found.dictionary.to_pylist()]
    parts.append(pa.array(traces, pa.string()).take(found.indices))
    return joined(parts)
