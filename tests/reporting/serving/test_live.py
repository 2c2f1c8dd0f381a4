"""When the data of a live store are read anew, and what they are compared with."""

from __future__ import annotations

from pathlib import Path

from otel_coverage.reporting.changes.baseline import PREVIOUS
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.request import ReportRequest
from otel_coverage.reporting.serving.files import write_file
from otel_coverage.reporting.serving.live import LiveReport
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.conftest import Compared
from tests.reporting.project import SPANS, fill
from tests.support.spans import insert_spans

PLAIN = "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName) VALUES (now64(9), 't', 's', 'plain')"


def test_data_are_read_anew_where_coverage_came_and_are_others_only_where_it_is_new(
    store: Store, store_dsn: str, tree: SourceTree
) -> None:
    live = LiveReport(store_dsn, ReportRequest())
    live._look()
    assert (live.status().phase, live.page) == ("waiting", None)
    fill(store, tree)
    live._look()
    first = live.page
    assert first is not None
    store.command(PLAIN)
    store.command("OPTIMIZE TABLE coverage_functions FINAL")
    live._look()
    assert live.page is first
    insert_spans(store, SPANS[0])  # delivered again
    live._look()
    again = live.page
    assert again is not None
    assert (again is first, again.body == first.body) == (False, True)
    insert_spans(store, SPANS[2].but(id="s9", trace="t9", profile="return"))
    live._look()
    assert live.status().version not in ("", first.version)
    live.stop()


def test_what_changed_since_the_baseline_has_an_address_and_a_missing_one_is_said(
    compared: Compared, tmp_path: Path
) -> None:
    queries = select_revision(compared.store)
    for name in ("diff.json", "diff.csv"):
        path = write_file(name, queries, ReportRequest(baseline=PREVIOUS), tmp_path)
        assert path.read_bytes() == (compared.report.out / name).read_bytes()
    found, reasons = ReportRequest(baseline="nosuch").select_baseline(queries)
    assert found is None
    assert reasons[0].startswith("Compared with nothing (--baseline nosuch): ")
