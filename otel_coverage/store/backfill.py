"""Coverage of spans that were stored before our views stood on their table: derived batch by batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from otel_coverage.store.layout import Layout
from otel_coverage.store.schema import INTAKE, files, layout_of
from otel_coverage.store.store import Store

BATCH = 10_000  # spans

_MINUTE = "intDiv(toUnixTimestamp64Milli(Timestamp), 60000)"
_SELECT = re.compile(rf"CREATE MATERIALIZED VIEW IF NOT EXISTS {INTAKE}\b.* TO (\w+) AS\n(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Batch:
    """Spans of some minutes; of a single minute that holds too many, those of a share of its traces.

    Attributes:
        first: the first minute, counted from 1970.
        last: the last one, included.
        spans: how many there are.
        share: which share of the traces.
        shares: how many shares there are.
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

    Whatever was derived before is derived again, to the same rows: it may run as often as one likes, be interrupted,
    and run while spans come in. On a cluster it reads and fills the shard that it speaks to.

    Args:
        store: one that the schema was applied to.
        batch: about how many spans are read at a time.
        on_batch: told how many spans are done, and of how many.

    Returns:
        How many spans of traced contexts there were.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
    """
    layout = layout_of(store)
    target, query = _intake(layout, store.database)
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
        # by name, as a materialized view does; the bounds on Timestamp itself are what partitions are chosen by
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


def _intake(layout: Layout, database: str) -> tuple[str, str]:
    """The table that spans are read into, and the query that the materialized view reads them with."""
    for file in files():
        for statement in file.statements:
            for rendered in layout.statements(statement, database):
                if found := _SELECT.search(rendered):
                    return found[1], found[2]
    raise AssertionError(f"no file of the schema makes {INTAKE}")


def _batches(store: Store, layout: Layout, query: str, size: int) -> Iterator[Batch]:
    condition = query[query.rindex("WHERE") :]
    minutes: list[int] = []
    waiting = 0
    for minute, spans in store.query(
        f"SELECT {_MINUTE} AS minute, count() FROM {layout.traces} {condition} GROUP BY minute ORDER BY minute"  # noqa: S608
    ).rows:
        if minutes and waiting + spans > size:
            yield from _shares(minutes, waiting, size)
            minutes, waiting = [], 0
        minutes.append(minute)
        waiting += spans
    if minutes:
        yield from _shares(minutes, waiting, size)


def _shares(minutes: list[int], spans: int, size: int) -> Iterator[Batch]:
    shares = -(-spans // size)
    for share in range(shares):
        yield Batch(minutes[0], minutes[-1], spans // shares + (share < spans % shares), share, shares)
