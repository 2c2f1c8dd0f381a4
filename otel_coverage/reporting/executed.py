"""Who executes what, by numbers: millions of pairs of a function and a profile, a few bytes each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from otel_coverage.reporting.arrow import TIME, steps_as_json
from otel_coverage.reporting.integers import bits

# Numbers of profiles for their names; those that came in since the names were asked for are left out.
_NUMBERS = """arraySort(arrayFilter(
        number -> number < length({names:Array(String)}),
        arrayMap(name -> toUInt32(transform(
            name, {names:Array(String)}, range(length({names:Array(String)})), 4294967295
        )), %s)
    ))"""

# names a function in a few bytes, the same in every table: of twenty thousand functions two have one number in
# one store of a hundred billion
NUMBER = "cityHash64({row}.module, {row}.qualname, {row}.line)"

_EXECUTED = f"""
SELECT toValidUTF8(toString(module)) AS module, toValidUTF8(qualname) AS qualname, line, first_seen, last_seen,
    toValidUTF8(exemplar_trace_id) AS exemplar_trace_id, {NUMBER.format(row="f")} AS number,
    {_NUMBERS % "f.profiles"} AS profiles
FROM executed_functions AS f
WHERE namespace = {{namespace:String}} AND revision = {{revision:String}} AND notEmpty(profiles)
ORDER BY f.module, line, f.qualname
"""  # noqa: S608 - constants
_EXECUTED_SCHEMA = pa.schema(
    {
        "module": pa.string(),
        "qualname": pa.string(),
        "line": pa.uint32(),
        "first_seen": TIME,
        "last_seen": TIME,
        "exemplar_trace_id": pa.string(),
        "number": pa.uint64(),
        "profiles": pa.list_(pa.uint32()),
    }
)

# what the view symbol_entry_points has, put together as numbers: as names they take a quarter of a gigabyte
_ENTRY_POINTS = f"""
SELECT toValidUTF8(symbol) AS symbol, toValidUTF8(toString(service)) AS service, toString(kind) AS kind,
    toValidUTF8(toString(entry_point)) AS entry_point,
    arraySort(groupUniqArrayArray({_NUMBERS % "c.profiles"})) AS profiles
FROM counted_under_entry_points AS c
WHERE namespace = {{namespace:String}} AND revision = {{revision:String}} AND notEmpty(c.profiles)
GROUP BY c.service, c.kind, c.entry_point, c.symbol
"""  # noqa: S608 - constants
_ENTRY_POINTS_SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "service": pa.string(),
        "kind": pa.string(),
        "entry_point": pa.string(),
        "profiles": pa.list_(pa.uint32()),
    }
)

Ask = Callable[..., pa.Table]  # a statement, a schema, further parameters by name


@dataclass(frozen=True)
class ExecutedFunctions:
    """The functions that some profile executed, by module, line and qualified name.

    Attributes:
        profiles: all profiles, sorted by name; numbers are positions in it.
        table: a row for each function: module, qualname, line, first_seen, last_seen, exemplar_trace_id, its
            :data:`NUMBER`, and the numbers of the profiles that execute it, ascending.
    """

    profiles: tuple[str, ...]
    table: pa.Table

    @classmethod
    def read(cls, ask: Ask, profiles: Sequence[str]) -> ExecutedFunctions:
        """Ask the store.

        Args:
            ask: answers a statement about a revision.
            profiles: sorted by name.
        """
        return cls(tuple(profiles), _ask(ask, _EXECUTED, _EXECUTED_SCHEMA, profiles))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Symbol, module, qualname and line of each function."""
        rows = self.table.select(["module", "qualname", "line"]).to_pylist()
        return [{"symbol": "{module}:{qualname}@{line}".format_map(row), **row} for row in rows]

    @cached_property
    def symbols(self) -> list[str]:
        """The functions, as ``module:qualname@line``."""
        return [row["symbol"] for row in self.rows]

    @cached_property
    def by_symbol(self) -> list[list[int]]:
        """The numbers of each function's profiles."""
        found: list[list[int]] = self.of_symbols.to_pylist()
        return found

    @cached_property
    def of_symbols(self) -> pa.ListArray:
        """The same as a column."""
        return self.table["profiles"].combine_chunks()

    @cached_property
    def by_profile(self) -> list[Sequence[int]]:
        """The numbers of each profile's functions: their positions in the table, four bytes each."""
        lists = self.of_profiles
        numbers = memoryview(lists.values.buffers()[1]).cast("I") if len(lists.values) else ()
        ends = lists.offsets.to_pylist()
        return [numbers[begin:end] for begin, end in pairwise(ends)]

    @cached_property
    def of_profiles(self) -> pa.ListArray:
        """The same as a column."""
        lists = self.of_symbols
        profiles = lists.flatten()
        order = pc.sort_indices(profiles)  # those of a profile stay in order
        functions = pc.list_parent_indices(lists).cast(pa.uint32()).take(order)
        counts = dict(zip(*(each.to_pylist() for each in profiles.value_counts().flatten()), strict=True))
        ends = accumulate((counts.get(number, 0) for number in range(len(self.profiles))), initial=0)
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), functions)

    @cached_property
    def sets(self) -> list[int]:
        """The same, with a bit for each function."""
        return [bits(functions, len(self.table)) for functions in self.by_profile]


@dataclass(frozen=True, slots=True)
class ReachedFunction:
    """A function and an entry point that leads to it.

    Attributes:
        symbol: the function.
        entry_point: service, kind and name.
        profiles: the numbers of the profiles that went that way, as
            :func:`~otel_coverage.reporting.arrow.steps_as_json` writes them.
    """

    symbol: str
    entry_point: tuple[str, str, str]
    profiles: str


def reached_functions(ask: Ask, executed: ExecutedFunctions) -> list[ReachedFunction]:
    """Each function with each entry point that leads to it, in the order of the functions.

    Args:
        ask: answers a statement about a revision.
        executed: the functions that some profile executed.
    """
    table = _ask(ask, _ENTRY_POINTS, _ENTRY_POINTS_SCHEMA, executed.profiles)
    positions = {symbol: position for position, symbol in enumerate(executed.symbols)}
    symbols, *parts = (table[name].to_pylist() for name in _ENTRY_POINTS_SCHEMA.names if name != "profiles")
    numbers = steps_as_json(table["profiles"].combine_chunks())
    found = [
        ReachedFunction(symbol, entry_point, profiles)
        for symbol, entry_point, profiles in zip(symbols, zip(*parts, strict=True), numbers, strict=True)
        if symbol in positions  # else it came in since they were asked for
    ]
    return sorted(found, key=lambda each: (positions[each.symbol], each.entry_point))


def _ask(ask: Ask, sql: str, schema: pa.Schema, profiles: Sequence[str]) -> pa.Table:
    """The answer; `transform` takes no empty arrays."""
    return ask(sql, schema, names=list(profiles)) if profiles else schema.empty_table()
