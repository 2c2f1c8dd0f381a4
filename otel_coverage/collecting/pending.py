"""What is inserted next: records of the log, the spans in them, and the batch that the store knows them by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otel_coverage.collecting.log import Record
from otel_coverage.collecting.rows import COLUMNS, Row
from otel_coverage.collecting.spans import InsertedSpan, Key
from otel_coverage.store import batches

_START, _DURATION, _NAME, _ATTRIBUTES = (
    COLUMNS.index(name) for name in ("Timestamp", "Duration", "SpanName", "SpanAttributes")
)

_TRACED = frozenset({"playback.profile", "coverage.functions", "coverage.lines"})


@dataclass(slots=True)
class Pending:
    """Records of the log that are inserted together.

    Attributes:
        records: in the order of their numbers; at least one.
        spans: of the records, without those that were inserted before.
        conflicts: those of them that came with the id of another span.
        is_replayed: whether some of it may have been inserted, by a process before this one or an attempt before.
        attempts: that the store was reached in, and that failed.
        error: why the last attempt failed.
    """

    records: list[Record]
    spans: list[InsertedSpan]
    conflicts: list[Key]
    is_replayed: bool
    attempts: int = 0
    error: str = ""

    @property
    def first(self) -> int:
        """Number of the first record."""
        return self.records[0].number

    @property
    def last(self) -> int:
        """Number of the last record."""
        return self.records[-1].number

    @property
    def rows(self) -> list[Row]:
        """A row of the table of spans for each span."""
        return [span.row for span in self.spans]

    def batch(self, log: str, table: str) -> batches.Batch:
        """The batch of its spans, which has to have any.

        Args:
            log: name of the log.
            table: that the spans are inserted into.
        """
        rows = self.rows
        starts = [row[_START] for row in rows]
        attributes = [row[_ATTRIBUTES] for row in rows]
        return batches.Batch(
            name=f"{log}:{self.first}-{self.last}",
            first=self.first,
            last=self.last,
            keys=[span.key for span in self.spans],
            since=min(starts),
            until=max(starts),
            profiles=sorted({each.get("playback.profile", "") for each in attributes}),
            runs=sorted({each.get("playback.run_id", "") for each in attributes}),
            traced=len({span.key[:2] for span in self.spans if _is_traced(span.row[_ATTRIBUTES])}),
            table=table,
        )


def _is_traced(attributes: Mapping[str, str]) -> bool:
    """Whether a span gets a row in ``coverage_spans``; where the views know better, the check only takes longer."""
    return attributes.get("playback.profile") != "_startup" and not _TRACED.isdisjoint(attributes)


def without(rows: Sequence[Row], present: Counter[batches.Fingerprint]) -> list[Row]:
    """The rows that are not in the store yet; of equal ones as many as it lacks.

    Args:
        rows: spans.
        present: how many of each the store has.
    """
    left = Counter(present)
    lacking = []
    for row in rows:
        fingerprint = _fingerprint(row)
        if left[fingerprint]:
            left[fingerprint] -= 1
        else:
            lacking.append(row)
    return lacking


def _fingerprint(row: Row) -> batches.Fingerprint:
    trace, span = row[1], row[2]
    size = sum(len(value.encode()) for value in row[_ATTRIBUTES].values())
    return trace, span, row[_START], row[_DURATION], row[_NAME], size
