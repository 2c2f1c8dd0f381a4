"""``otel-coverage diff`` and ``report --baseline`` as they are called."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store
from tests.reporting.conftest import Compared
from tests.reporting.nights import NEW, NEW_SPANS, OLD, fill_both
from tests.support.spans import insert_spans


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_pipe_gets_what_the_report_has(compared: Compared) -> None:
    store = str(compared.store.dsn)
    done = call("diff", OLD, NEW, "--store", store, "--namespace", "")
    assert done.exit_code == 0, done.output
    written = (compared.report.out / "diff.json").read_text(encoding="utf-8")
    assert done.stdout == written
    assert json.loads(written)["baseline"]["revision"] == OLD
    with (compared.report.out / "diff.csv").open(encoding="utf-8", newline="") as file:
        lost = [row["symbol"] for row in csv.DictReader(file) if row["change"] == "lost"]
    assert lost == ["orders:Order.cancel@9", "orders:refund@11", "orders:ship@18"]


def test_people_get_tables(compared: Compared) -> None:
    done = call("diff", "previous", "--store", str(compared.store.dsn), "--format", "table")
    assert done.exit_code == 0, done.output
    for text in (
        "2 lost (1 of them removed from the code)",
        "orders:Order.cancel@9  unchanged  browse",
        "orders:audit@26",
    ):
        assert text in done.stdout


def test_history_has_the_revisions_before_the_oldest_first(compared: Compared) -> None:
    history = json.loads((compared.report.out / "history.json").read_text(encoding="utf-8"))["history"]
    figures = ("revision", "percent", "lines_covered", "lines_total", "profiles", "duration_ms")
    assert [tuple(each[name] for name in figures) for each in history] == [
        (OLD, 100.0, 7, 7, 3, 2000),
        (NEW, 50.0, 5, 9, 2, 1000),
    ]
    with (compared.report.out / "history.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["revision"], row["complete"]) for row in csv.DictReader(file)] == [(OLD, "true"), (NEW, "true")]


def test_a_summary_says_what_changed_and_why_something_is_unknown(compared: Compared) -> None:
    summary = (compared.report.out / "summary.md").read_text(encoding="utf-8")
    assert f"## Since `{OLD}`" in summary
    assert "- New functions: 1 executed, 1 not." in summary
    assert "- Not played now: 'admin'." in summary


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1112",), "no coverage of revision '1112'; "),
        (("nww",), "no run has that name either: did you mean new?"),
        ((OLD, OLD), f"{OLD}: this is what the report itself is about; name another one, or a run of it"),
        (("previous", OLD), f"previous: no revision with coverage is earlier than {OLD}"),
        (("new",), "new: this is what the report itself is about; name other runs, and those of the report by --run"),
        ((OLD, "3333"), "no coverage of revision '3333'"),
    ],
)
def test_what_cannot_be_compared_is_named(compared: Compared, arguments: tuple[str, ...], message: str) -> None:
    done = call("diff", *arguments, "--store", str(compared.store.dsn))
    assert isinstance(done.exception, ConfigurationError)
    assert message in str(done.exception)
    assert done.exception.exit_code == 2


def test_a_report_prints_what_changed(store: Store, store_dsn: str, tmp_path: Path) -> None:
    fill_both(store, tmp_path)
    given = ("report", "--store", store_dsn, "--out", str(tmp_path / "out"), "--source", str(tmp_path / "new"))
    done = call(*given, "--baseline", OLD[:6], "--only", "diff.json")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert (printed["baseline"], printed["changes"]["functions_lost"]) == (OLD, 2)
    table = call(*given, "--baseline", "previous", "--only", "diff.json", "--format", "table")
    assert f"since {OLD}:\n  Functions: 1 gained, 2 lost (1 of them removed from the code), 1 unknown" in table.stdout
    assert f"compared with revision {OLD}\n" in table.stderr


def test_two_nights_of_one_revision_are_compared_by_their_runs(store: Store, store_dsn: str, tmp_path: Path) -> None:
    fill_both(store, tmp_path)
    insert_spans(store, NEW_SPANS[0].but(id="m1", trace="m1", run="newer", functions=["orders:place@13"], second=200))
    done = call("diff", "new", "--run", "newer", "--store", store_dsn, "--profile", "checkout")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [each["qualname"] for each in found["functions"] if each["change"] == "lost"] == ["Order.total", "invoice"]
    assert (found["selection"]["runs"], found["baseline"]["selection"]["runs"]) == (["newer"], ["new"])


def test_the_first_night_has_a_report_without_a_baseline(store: Store, store_dsn: str, tmp_path: Path) -> None:
    tree = tmp_path / "new"
    fill_both(store, tmp_path)
    given = ("--store", store_dsn, "--out", str(tmp_path / "out"), "--source", str(tree), "--revision", OLD)
    done = call("report", *given, "--baseline", "previous")
    assert done.exit_code == 0, done.output
    assert "--baseline previous: no earlier revision has coverage: the report compares with nothing" in done.stderr
    assert not (tmp_path / "out" / "diff.json").exists()
