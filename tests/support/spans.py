"""Rows of otel_traces, written by hand, in the renderings of the collectors that write it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from otel_coverage.store import Store

Rendering = Literal["otelcol", "rotel"]

_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_COLUMNS = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "SpanAttributes",
    "Duration",
    "StatusCode",
)

TABLES = (  # that spans are read into
    "coverage_spans",
    "coverage_functions",
    "coverage_lines",
    "coverage_arcs",
    "coverage_by_symbol",
    "coverage_runs",
    "coverage_startup",
    "coverage_entry_points",
    "coverage_entry_point_lines",
    "code_routes",
)

_INDICES = ("coverage_by_symbol", "coverage_entry_points", "counted_under_entry_points", "executed_functions")
_SETS = {**dict.fromkeys(_INDICES, "profiles"), "coverage_entry_point_lines": "ranges"}

START = 1_767_225_600  # 2026-01-01 00:00:00 UTC


@dataclass(frozen=True)
class TracedSpan:
    """A span of a traced context, with what a recorder would have written on it.

    Attributes:
        second: its start, in seconds after :data:`START`.
        duration: in nanoseconds.
        functions: None for a span that carries no coverage.
        arcs: None where branches were not recorded.
        attributes: what else stands on it, or other values for what is derived.
    """

    id: str = "s1"
    parent: str = ""
    trace: str = "t1"
    profile: str = "checkout"
    run: str = "r1"
    role: str = "server"
    name: str = "GET /"
    service: str = "web"
    namespace: str = ""
    revision: str = "abc"
    second: int = 0
    duration: int = 5_000_000
    functions: Sequence[str] | None = None
    lines: Sequence[str] = ()
    line_count: int | None = None
    arcs: Sequence[str] | None = None
    arc_count: int | None = None
    complete: bool = True
    reason: str = ""
    detail: str = ""
    outcome: str = ""
    status: str = "Ok"
    kind: str = "Server"
    attributes: Mapping[str, str] = field(default_factory=dict)

    def but(self, **changes: Any) -> TracedSpan:
        """The same span but for some values."""
        return replace(self, **changes)

    def row(self, rendering: Rendering) -> list[Any]:
        """Its row in otel_traces. The words for kind and status vary between collectors too."""
        old = rendering == "rotel"
        resource = {
            "service.name": self.service,
            "service.namespace": self.namespace,
            "vcs.ref.head.revision": self.revision,
        }
        return [
            (START + self.second) * 10**9,
            self.trace,
            self.id,
            self.parent,
            self.name,
            f"SPAN_KIND_{self.kind.upper()}" if old else self.kind,
            self.service,
            {key: value for key, value in resource.items() if value},
            {**self._attributes(rendering), **self.attributes},
            self.duration,
            f"STATUS_CODE_{self.status.upper()}" if old else self.status,
        ]

    def _attributes(self, rendering: Rendering) -> dict[str, str]:
        attributes = {"playback.profile": self.profile, "playback.run_id": self.run}
        if self.role:
            attributes["coverage.role"] = self.role
        if self.outcome:
            attributes["playback.outcome"] = self.outcome
        if self.functions is not None:
            attributes |= {
                "coverage.functions": array(self.functions, rendering),
                "coverage.lines": array(self.lines, rendering),
                "coverage.function_count": str(len(self.functions)),
                "coverage.line_count": str(_count(self.lines) if self.line_count is None else self.line_count),
                "coverage.granularity": "line",
                "coverage.engine": "monitoring",
                "coverage.complete": "true" if self.complete else "false",
            }
        if self.arcs is not None:
            taken = sum(element.count("/", element.rindex(":")) for element in self.arcs if ":" in element)
            attributes |= {
                "coverage.arcs": array(self.arcs, rendering),
                "coverage.arc_count": str(taken if self.arc_count is None else self.arc_count),
            }
        if self.reason:
            attributes["coverage.incomplete_reason"] = self.reason
        if self.detail:
            attributes["coverage.incomplete_detail"] = self.detail
        return attributes


def array(values: Sequence[str], rendering: Rendering) -> str:
    """A string array as a collector writes it into a Map of strings."""
    if rendering == "rotel":
        return json.dumps({"values": [{"stringValue": value} for value in values]}, separators=(",", ":"))
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":")).translate(_ESCAPED)


def insert_spans(
    store: Store, *spans: TracedSpan, rendering: Rendering = "otelcol", table: str = "otel_traces"
) -> None:
    """Insert spans as a collector does: all by one statement, into one table alone."""
    store.insert(table, _COLUMNS, [span.row(rendering) for span in spans])


def insert_catalog(
    store: Store, *symbols: Mapping[str, Any], revision: str = "abc", push: int = 1, table: str = "code_symbols"
) -> None:
    """Insert one push of a catalog; each symbol says what differs from a function of one line in ``shop.py``."""
    columns = ("module", "qualname", "line", "kind", "file", "end_line", "executable_lines", "parent", "digest")
    usual = {
        "module": "shop",
        "kind": "function",
        "file": "shop.py",
        "executable_lines": [],
        "parent": "",
        "digest": "",
    }
    rows = []
    for symbol in symbols:
        values = {**usual, "end_line": symbol["line"], **symbol}
        rows.append(["", revision, push, *(values[column] for column in columns)])
    store.insert(table, ("namespace", "revision", "pushed_at", *columns), rows)


def every_column(name: str) -> str:
    """What to SELECT of a table or view: all its columns, those that are sets without an order sorted."""
    return f"* REPLACE arraySort({_SETS[name]}) AS {_SETS[name]}" if name in _SETS else "*"


def _count(elements: Sequence[str]) -> int:
    count = 0
    for element in elements:
        for part in element.rpartition(":")[2].split(","):
            first, _, last = part.partition("-")
            count += int(last or first) - int(first) + 1
    return count
