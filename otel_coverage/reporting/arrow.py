"""Large answers of the store as columns, and Parquet files of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from otel_coverage.store import Store

TIME = pa.timestamp("us", tz="UTC")
NAME = pa.dictionary(pa.int32(), pa.string())  # in the file, each name stands once a row group; readers see strings


def ask(store: Store, sql: str, parameters: Mapping[str, object], schema: pa.Schema) -> pa.Table:
    """The rows of a statement, with columns of these types; times lose what is below the microsecond.

    Raises:
        StoreError: the engine refuses.
    """
    release()
    answer = store.export(sql, parameters, "ArrowStream")
    if not answer:
        return schema.empty_table()
    table = pa.ipc.open_stream(answer).read_all()
    return table.select(schema.names).cast(schema, safe=False).combine_chunks()


def name(content: bytes) -> str:
    """A name as named queries have it: of one that is not UTF-8, its bytes as digits."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.hex()


def release() -> None:
    """Return to the system what columns have freed; their allocator keeps a hundred MiB and more."""
    pa.default_memory_pool().release_unused()


def parquet_file(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet file to write tables to, each in row groups of its own; it is complete when it is closed.

    Raises:
        OSError: it cannot be written.
    """
    # names stay dictionaries, of whichever size: written out for each row they take a hundred times as much
    return pq.ParquetWriter(path, schema, compression="zstd", dictionary_pagesize_limit=1 << 26)


def write_parquet(path: Path, schema: pa.Schema, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of a named query; columns that are not in the schema are left out.

    Raises:
        OSError: it cannot be written.
    """
    with parquet_file(path, schema) as file:
        chosen = [{name: row[name] for name in schema.names} for row in rows]
        file.write_table(pa.Table.from_pylist(chosen, schema=schema))


def steps_as_json(lists: pa.ListArray) -> list[str]:
    """Lists of ascending integers as JSON, each number as its distance from the one before, the first one's from 0.

    `itertools.accumulate` is the reverse. Millions of numbers are a tenth of the work that they are as Python's.
    """
    numbers, owners = lists.flatten().cast(pa.int64()), pc.list_parent_indices(lists)
    if not len(numbers):
        return ["[]"] * len(lists)
    is_first = pc.not_equal(owners, pa.concat_arrays([pa.array([-1], owners.type), owners[:-1]]))
    before = pa.concat_arrays([pa.array([0], pa.int64()), numbers[:-1]])
    texts = pc.if_else(is_first, numbers, pc.subtract(numbers, before)).cast(pa.string())
    ends = pa.array(accumulate(pc.list_value_length(lists).to_pylist(), initial=0), pa.int32())
    return [f"[{text}]" for text in pc.binary_join(pa.ListArray.from_arrays(ends, texts), ",").to_pylist()]


def joined(columns: Sequence[pa.Array]) -> pa.Buffer:
    """Columns of texts as one text, row by row."""
    rows = pc.binary_join_element_wise(*columns, "")
    _, offsets, text = rows.buffers()
    return text.slice(0, memoryview(offsets).cast("i")[len(rows)])
