"""Coverage of spans that were stored before our materialized views existed, derived batch by batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from otel_coverage.store.layout import Layout
from otel_coverage.store.schema import INTAKE, layout_of
from otel_coverage.store.sql_files import sql_files
from otel_coverage.store.store import Store

BATCH = 10_000  # spans

_MINUTE = "intDiv(toUnixTimestamp64Milli(Timestamp), 60000)"
_SELECT = re.compile(rf"CREATE MATERIALIZED VIEW IF NOT EXISTS {INTAKE}\b.* TO (\w+) AS\n(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Batch:
    """The spans of some minutes; where one minute has too many, of a share of its traces.

    Attributes:
        first: the first minute, since 1970.
        last: the last minute, included.
        spans: number of spans.
        share: index of the share of the traces.
        shares: number of shares.
    """

    first: int
    last: int
    spans: int
    share: int = 0
    shares: int = 1


def backfill(
    store: Store, *, batch: int = BATCH, on_batch: Callable[[int, int], object] = lambda done, total: None
) -> int:
    """Derive the coverage tables from the spans that are in the store.

    What was derived before is derived again, to the same rows: a backfill may be repeated, be interrupted, and run
    while spans are inserted. On a cluster it reads and fills the shard of the node that the store is connected to.

    Args:
        store: one that the schema was applied to.
        batch: about how many spans are read at a time.
        on_batch: called with the number of spans done, and of all.

    Returns:
        The number of spans of traced contexts.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
    """
    layout = layout_of(store)
    target, query = intake(layout, store.database)
    batches = list(_batches(store, layout, query, batch))
    columns = ", ".join(
        name
        for (name,) in store.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
            " ORDER BY position",
            {"table": target},
        ).rows
    )
    done, total = 0, sum(each.spans for each in batches)
    on_batch(done, total)
    for each in batches:
        bounds = {"first": each.first, "last": each.last, "share": each.share, "shares": each.shares}
        # columns by name, as a materialized view does; the bounds on Timestamp itself select partitions
        store.command(
            f"INSERT INTO {target} ({columns}) SELECT {columns} FROM (\n{query}\n"  # noqa: S608 - our own names
            "  AND Timestamp >= fromUnixTimestamp64Milli(({first:Int64} - 1) * 60000)\n"
            "  AND Timestamp < fromUnixTimestamp64Milli(({last:Int64} + 2) * 60000)\n"
            f"  AND {_MINUTE} BETWEEN {{first:Int64}} AND {{last:Int64}}\n"
            "  AND cityHash64(TraceId) % {shares:UInt32} = {share:UInt32}\n)",
            bounds,
        )
        done += each.spans
        on_batch(done, total)
    return total


def intake(layout: Layout, database: str) -> tuple[str, str]:
    """The table that spans are read into, and the query that the materialized view reads them with."""
    for file in sql_files("views"):
        for statement in file.statements:
            for rendered in layout.statements(statement, database):
                if found := _SELECT.search(rendered):
                    return found[1], found[2]
    raise AssertionError(f"no SQL file creates {INTAKE}")


def _batches(store: Store, layout: Layout, query: str, size: int) -> Iterator[Batch]:
    condition = query[query.rindex("WHERE") :]
    minutes: list[int] = []
    pending = 0
    for minute, spans in store.query(
        f"SELECT {_MINUTE} AS minute, count() FROM {layout.traces} {condition} GROUP BY minute ORDER BY minute"  # noqa: S608
    ).rows:
        if minutes and pending + spans > size:
            yield from _shares(minutes, pending, size)
            minutes, pending = [], 0
        minutes.append(minute)
        pending += spans
    if minutes:
        yield from _shares(minutes, pending, size)


def _shares(minutes: list[int], spans: int, size: int) -> Iterator[Batch]:
    shares = -(-spans // size)
    for share in range(shares):
        yield Batch(minutes[0], minutes[-1], spans // shares + (share < spans % shares), share, shares)
