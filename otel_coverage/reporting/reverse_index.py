"""``reverse-index.{json,csv,parquet}``: who executes each function."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from otel_coverage.reporting.arrow import NAME, TIME, parquet_file, steps_as_json
from otel_coverage.reporting.executed import ExecutedFunctions
from otel_coverage.reporting.files import Json, Wanted, every_file, write_csv, write_json
from otel_coverage.reporting.heading import heading
from otel_coverage.reporting.queries import RevisionQueries

_CSV = ("symbol", "module", "qualname", "line", "profile_count", "profiles")
_COLUMNS = pa.schema(
    {
        "symbol": pa.string(),
        "module": NAME,
        "qualname": pa.string(),
        "line": pa.uint32(),
        "profile_count": pa.uint32(),
        "profiles": pa.list_(NAME),
        "first_seen": TIME,
        "last_seen": TIME,
        "exemplar_trace_id": pa.string(),
    }
)


def write_reverse_index(queries: RevisionQueries, folder: Path, wants: Wanted = every_file) -> None:
    """Write the three files; arguments as :func:`~otel_coverage.reporting.matrix.write_matrix` has them."""
    executed = queries.executed
    if wants("reverse-index.json"):
        document = {
            **heading(queries),
            "symbols": executed.symbols,
            "reverse_index": map(Json, steps_as_json(executed.of_symbols)),
        }
        write_json(folder / "reverse-index.json", document)
    if wants("reverse-index.csv"):
        write_csv(folder / "reverse-index.csv", _CSV, _rows(executed))
    if wants("reverse-index.parquet"):
        with parquet_file(folder / "reverse-index.parquet", _COLUMNS) as file:
            file.write_table(_table(executed))


def _rows(executed: ExecutedFunctions) -> Iterator[list[object]]:
    for row, numbers in zip(executed.rows, executed.by_symbol, strict=True):
        profiles = [executed.profiles[number] for number in numbers]
        yield [row["symbol"], row["module"], row["qualname"], row["line"], len(numbers), profiles]


def _table(executed: ExecutedFunctions) -> pa.Table:
    lists = executed.of_symbols
    numbers = pa.DictionaryArray.from_arrays(lists.values.cast(pa.int32()), pa.array(executed.profiles, pa.string()))
    columns = {
        **{name: executed.table[name] for name in executed.table.column_names},
        "symbol": pa.array(executed.symbols, pa.string()),
        "module": executed.table["module"].dictionary_encode(),
        "profile_count": pc.list_value_length(lists).cast(pa.uint32()),
        "profiles": pa.ListArray.from_arrays(lists.offsets, numbers),
    }
    return pa.table({name: columns[name] for name in _COLUMNS.names}).cast(_COLUMNS)
