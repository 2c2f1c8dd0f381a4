"""``python -m benchmarks.store``: inserts a night of a hundred million hits, runs the queries, prints the sizes."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from benchmarks.store.night import Night
from benchmarks.store.questions import OF_TWO, QUESTIONS, Question
from otel_coverage.store import Store, open_store, schema
from otel_coverage.store.named_queries import named_query

WARM = 3  # times that a query runs after the first; the best counts
COVERAGE = (
    "coverage_functions",
    "coverage_lines",
    "coverage_arcs",
    "coverage_spans",
    "coverage_runs",
    "coverage_by_symbol",
    "coverage_entry_points",
    "coverage_entry_point_lines",
    "code_symbols",
)
COLD, WARM_BAR = 0.5, 0.4  # seconds that a view's main question may take


@dataclass(frozen=True, slots=True)
class Answer:
    """How long the engine took for all rows of a query.

    Attributes:
        query: the named query.
        view: the view whose main question it is, if any.
        cold: seconds, the first time after the store was opened.
        warm: seconds, the best of the later times.
        cpu: seconds of all threads, the best of the later times.
    """

    query: str
    view: str
    cold: float
    warm: float
    cpu: float


@dataclass
class Report:
    """What was measured.

    Attributes:
        hits: functions of all spans, added up.
        seconds: that their inserts took.
        cpu: seconds of all threads in them, which other processes influence less.
        pairs: distinct pairs of profile and function.
        answers: how long each question took.
        tables: rows and megabytes of each.
    """

    spans: int = 0
    hits: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    pairs: int = 0
    answers: list[Answer] = field(default_factory=list)
    tables: dict[str, tuple[int, float]] = field(default_factory=dict)


def main() -> None:
    """Insert a night and run the queries, then as much again into the same pairs, and run them again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--profiles", type=int, default=200)
    parser.add_argument("--symbols", type=int, default=20_000)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--functions", type=int, default=500, help="of a span (default 500)")
    parser.add_argument(
        "--reach", type=int, default=12_000, help="functions that a profile executes in total (default 12000)"
    )
    parser.add_argument("--together", type=int, default=8, help="profiles played at the same time (default 8)")
    parser.add_argument("--again", type=int, default=10, help="times as much into the same pairs (default 10; 0: none)")
    parser.add_argument("--lines", action="store_true", help="record lines too, nine of each function")
    parser.add_argument("--batch", type=int, default=2_000, help="spans of an insert (default 2000)")
    parser.add_argument("--store", help="a folder to keep the store in (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    night = Night(
        arguments.profiles,
        arguments.symbols,
        arguments.spans,
        arguments.together,
        arguments.functions,
        arguments.reach,
        arguments.lines,
    )
    spans: int = arguments.spans
    rounds = [each for each in (range(spans), range(spans, spans * (1 + arguments.again))) if each]
    with tempfile.TemporaryDirectory() as temporary:
        dsn = f"chdb://{os.path.abspath(arguments.store or temporary)}"
        for each in rounds:
            report = _measured(dsn, night, each, arguments.batch, last=each == rounds[-1])
            if arguments.json:
                print(json.dumps(asdict(report)))
            else:
                _print(report)
            sys.stdout.flush()


def _measured(dsn: str, night: Night, spans: range, batch: int, *, last: bool) -> Report:
    report = Report(spans=len(spans))
    with open_store(dsn, create=True) as store:
        schema.apply(store)
        night.prepare(store)
        for first in range(spans.start, spans.stop, batch):
            report.hits += night.make(store, first, min(batch, spans.stop - first))
            before = time.process_time()
            report.seconds += _timed(lambda: night.insert(store))
            report.cpu += time.process_time() - before
            print(f"\r{first + batch - spans.start} of {len(spans)} spans", end="\r", file=sys.stderr)
        store.command("DROP TABLE night")
    with open_store(dsn) as store:  # the engine restarted, with empty caches
        report.answers = [_answered(store, question) for question in QUESTIONS]
        counted = "SELECT uniqExact(profile, module, qualname, line) FROM coverage_functions"
        report.pairs = store.query(counted).rows[0][0]
        for row in store.query(named_query("tables").sql).records():
            report.tables[row["table"]] = (row["rows"], row["megabytes"])
        if last:
            night.evening(store)
            report.answers += [_answered(store, question) for question in OF_TWO]
    return report


def _answered(store: Store, question: Question) -> Answer:
    sql, values = question.bound()
    seconds, cpu = [], []
    for _ in range(1 + WARM):
        before = time.process_time()
        seconds.append(_timed(lambda: store.export(sql, values, "Null")))
        cpu.append(time.process_time() - before)
    cold, *warm = seconds
    return Answer(question.query, question.view, round(cold, 3), round(min(warm), 3), round(min(cpu[1:]), 3))


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _print(report: Report) -> None:
    print(f"{report.spans:,} spans, {report.hits:,} hits in {report.seconds:.1f} s", end="")
    print(f" ({report.hits / report.seconds:,.0f} a second; {report.cpu:.1f} s of CPU)", end="")
    print(f", {report.pairs:,} distinct pairs so far")
    for each in report.answers:
        over = each.view and (each.cold > COLD or each.warm > WARM_BAR)
        print(f"  {each.query:20} {each.cold:6.3f} s cold {each.warm:6.3f} s warm {each.cpu:6.3f} s of CPU", end="")
        print(f"  {each.view}{' over the bar' if over else ''}" if each.view else "  (a whole list)")
    for name, (rows, megabytes) in report.tables.items():
        print(f"  {name:20} {rows:>12,} rows {megabytes:8.1f} MB")
    print(f"  coverage tables together {sum(report.tables[name][1] for name in COVERAGE):8.1f} MB")


if __name__ == "__main__":
    main()
