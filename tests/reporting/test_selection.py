"""Reports on some runs and profiles: ``report --run``, ``--since``, ``--profile``, and what CI asks of them."""

from __future__ import annotations

import base64
import csv
import json
import re
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import coverage
import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError, OtelCoverageError, StoreError
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import Report, write_report
from otel_coverage.reporting.selection import moment
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.matrix import matrix
from tests.support.spans import TracedSpan, insert_spans

NIGHT = 86_400
CANCEL = "shop.orders:Order.cancel@19"

# the first night plays checkout and browse; the second one checkout alone, which also cancels and loses something
NIGHTS = (
    *(span.but(run="night-1") for span in SPANS),
    TracedSpan(
        id="s9",
        trace="t9",
        run="night-2",
        second=NIGHT,
        functions=[*PLACE, CANCEL],
        lines=["shop/orders.py:8,20,28-30"],
        complete=False,
        reason="greenlets",
    ),
)

_HEAD = re.compile('(?<=id="data-head">)[^<]+')  # of the page's data

NEXT = TracedSpan(id="n", trace="n", run="night-3", revision="next", second=2 * NIGHT, functions=PLACE)


def report(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["report", "--out", "artifacts", "--source", "project", *arguments])


@pytest.fixture
def nights(store: Store, store_dsn: str, tree: SourceTree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    fill(store, tree, NIGHTS)
    return store


def read(name: str) -> dict[str, Any]:
    return dict(json.loads(Path("artifacts", name).read_text(encoding="utf-8")))


def test_a_report_on_a_run_is_the_one_of_a_store_that_holds_this_run_alone(
    store: Store, tree: SourceTree, tmp_path: Path
) -> None:
    """Every artifact, but for the words that say what was selected."""
    fill(store, tree, SPANS)
    alone = write_report(select_revision(store), tree, tmp_path / "alone")
    other = [TracedSpan(id="x1", trace="x1", run="r2", profile=name, functions=[CANCEL], lines=["shop/orders.py:20"])
             for name in ("checkout", "refund")]  # fmt: skip
    insert_spans(store, *(span.but(second=NIGHT) for span in other))
    of_run = write_report(select_revision(store, runs=["r1"]), tree, tmp_path / "of-run")
    assert alone.files == of_run.files
    for name in alone.files:
        assert content(of_run, name) == content(alone, name), name


def content(report: Report, name: str) -> object:
    path = report.out / name
    if name.endswith(".coverage"):
        data = coverage.CoverageData(basename=str(path))
        data.read()
        return {file: (data.lines(file), data.contexts_by_lineno(file)) for file in data.measured_files()}
    if name.endswith(".parquet"):
        return path.read_bytes()
    text = path.read_text(encoding="utf-8")
    if name.endswith(".json"):
        return {key: value for key, value in json.loads(text).items() if key != "selection"}
    if name.endswith(".html"):
        text = _HEAD.sub(_unpacked, text)
    return [line for line in text.splitlines() if "runs at this revision" not in line and "1 run " not in line]


def _unpacked(head: re.Match[str]) -> str:
    values = json.loads(zlib.decompress(base64.b64decode(head[0])))
    return json.dumps({name: value for name, value in values.items() if name not in ("selection", "runs")})


def test_every_artifact_of_a_run_has_what_this_run_executed(nights: Store) -> None:
    done = report("--run", "night-2")
    assert done.exit_code == 0, done.output
    assert matrix() == {"checkout": sorted_by_line([*PLACE, CANCEL])}
    assert [entry["symbol"] for entry in read("gaps.json")["gaps"] if "Order" in entry["symbol"]] == [
        "shop.orders:Order.total@10"
    ]
    assert read("leaderboard.json")["leaderboard"][0]["runs"] == 1
    assert sorted(path.name for path in Path("artifacts").glob("*.coverage")) == ["all.coverage", "checkout.coverage"]
    for name in ("matrix", "reverse-index", "gaps", "leaderboard", "redundancy", "symbols"):
        assert read(f"{name}.json")["selection"] == {"runs": ["night-2"], "since": None, "profiles": None}
        assert read(f"{name}.json")["newest_span"] == "2026-01-02T00:00:00.000000Z"
    page = Path("artifacts/summary.md").read_text(encoding="utf-8")
    assert "**Selected:** runs `night-2`. Of these, 1 run at this revision." in page


def sorted_by_line(symbols: list[str]) -> list[str]:
    return sorted(symbols, key=lambda symbol: int(symbol.rpartition("@")[2]))


def test_a_profile_is_reported_on_as_if_no_other_was_played(nights: Store) -> None:
    done = report("--profile", "brow*")
    assert done.exit_code == 0, done.output
    assert list(matrix()) == ["browse"]
    assert "shop.orders:Order.total@10" in {entry["symbol"] for entry in read("gaps.json")["gaps"]}
    assert read("redundancy.json")["redundancy"] == [
        {"profile": "browse", "functions": 3, "unique_functions": 3, "contained_in": [], "complete": True}
    ]
    assert read("gaps.json")["services"] == ["web"]
    with Path("artifacts/reverse-index.csv").open(encoding="utf-8", newline="") as file:
        assert {row["profiles"] for row in csv.DictReader(file)} == {"browse"}


def test_since_selects_the_runs_that_began_then_or_later(nights: Store) -> None:
    done = report("--since", "2026-01-01T12:00")
    assert done.exit_code == 0, done.output
    assert read("matrix.json")["selection"] == {"runs": ["night-2"], "since": "2026-01-01T12:00", "profiles": None}
    done = report("--since", "2025-12-31")
    assert read("matrix.json")["selection"]["runs"] == ["night-1", "night-2"]


def test_a_run_that_was_going_on_at_that_time_is_left_out_and_named(nights: Store) -> None:
    done = report("--since", "2026-01-01T00:00:02Z")
    assert done.exit_code == 0, done.output
    assert read("matrix.json")["selection"]["runs"] == ["night-2"]
    page = Path("artifacts/summary.md").read_text(encoding="utf-8")
    assert "Left out, since they began before 2026-01-01T00:00:02Z and ended after it: 'run night-1'." in page


def test_since_counts_back_from_now() -> None:
    now = datetime(2026, 1, 8, 12, tzinfo=timezone.utc)
    assert moment("24h", now) == now - timedelta(hours=24)
    assert moment("7d", now) == datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
    assert moment("2026-01-02T03:00Z") == datetime(2026, 1, 2, 3, tzinfo=timezone.utc)
    assert moment("2026-01-02T03:00+02:00") == datetime(2026, 1, 2, 1, tzinfo=timezone.utc)
    for wrong in ("yesterday", "999999w", "24", "2026-13-01", ""):
        with pytest.raises(ConfigurationError, match="not a time; write 24h, 7d"):
            moment(wrong, now)


def test_the_newest_revision_is_that_of_the_run_when_a_run_is_named(nights: Store) -> None:
    insert_spans(nights, NEXT)
    done = report("--run", "night-1")
    assert (done.exit_code, read("matrix.json")["revision"]) == (0, "abc"), done.output
    with pytest.raises(StoreError, match="run 'night-3': no coverage at revision 'abc'; it has coverage at 'next'"):
        select_revision(nights, revision="abc", runs=["night-3"])
    report("--revision", "abc", "--run", "night-1", "--run", "night-3")
    page = Path("artifacts/summary.md").read_text(encoding="utf-8")
    assert "Selected, but without coverage at this revision: 'run night-3'." in page


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"runs": ["nigt-2"]}, r"no run 'nigt-2'; did you mean night-2, night-1\?"),
        ({"profiles": ["chekout"]}, r"no profile 'chekout'; did you mean checkout\?"),
        ({"profiles": ["zz*"]}, "no profile 'zz\\*'; it has browse, checkout"),
        ({"runs": ["night-2"], "profiles": ["browse"]}, "profile 'browse' in run 'night-2': no coverage"),
        ({"since": "2026-02-01"}, "no run with coverage began since 2026-02-01T00:00:00Z; the last, 'night-2', began"),
        ({"revision": "abd"}, r"no coverage of revision 'abd'; did you mean abc\?"),
        ({"services": ["wep"]}, r"no coverage of service 'wep' at that revision; did you mean web"),
        ({"runs": ["silent"]}, "run 'silent' was played, but no coverage of it arrived"),
    ],
)
def test_an_error_about_an_unknown_name_has_the_ones_like_it(
    nights: Store, selection: dict[str, Any], message: str
) -> None:
    insert_spans(nights, TracedSpan(id="c", trace="c", run="silent", role="client", revision=""))
    with pytest.raises(OtelCoverageError, match=message):
        select_revision(nights, **selection)


def test_ci_can_demand_that_coverage_is_complete(nights: Store) -> None:
    assert report("--run", "night-1", "--fail-on-incomplete").exit_code == 0
    done = report("--fail-on-incomplete")
    assert done.exit_code == 1
    assert "--fail-on-incomplete: coverage is missing, or a run that counts failed: checkout" in done.stderr
    assert read("matrix.json")["complete"] is False  # written before it is judged


def test_ci_can_demand_a_share_of_the_functions(nights: Store) -> None:
    assert report("--fail-under", "75").exit_code == 0  # 6 of 8
    done = report("--fail-under", "75.01")
    assert done.exit_code == 1
    assert done.stderr.endswith("otel-coverage: --fail-under 75.01: 6 of 8 functions (75.00 %) are executed\n")
    assert Path("artifacts/summary.md").exists()


def test_without_a_catalog_no_share_is_met(nights: Store) -> None:
    insert_spans(nights, NEXT)
    done = report("--fail-under", "0")
    assert done.exit_code == 1
    assert "no catalog was pushed for revision next; run `otel-coverage catalog push`" in done.stderr
