"""``otel-coverage gate``: yes is exit code 0, no and not knowing are 1, each with its reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from otel_coverage import catalog
from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.impact.repository import Repository
from tests.reporting.nights import NEW, OLD, fill_both
from tests.reporting.project import FILES, SPANS
from tests.support.spans import TracedSpan, insert_spans


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["gate", *arguments], catch_exceptions=False, standalone_mode=False)


def gate(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the only check."""
    done = CliRunner().invoke(cli, ["gate", *arguments, "--format", "json"], catch_exceptions=False)
    (check,) = json.loads(done.stdout)["checks"]
    return done.exit_code, check


@pytest.fixture
def repository(store: Store, store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A project whose only commit was recorded."""
    made = Repository(tmp_path / "project")
    for name, text in FILES.items():
        made.write(name, text)
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    monkeypatch.setenv("OTEL_COVERAGE_SOURCE", "shop")
    record(store, made)
    return made


def record(store: Store, repository: Repository, **changes: Any) -> str:
    revision = repository.commit()
    catalog.push(store, catalog.build(SourceTree([str(repository.folder / "shop")])), revision)
    insert_spans(store, *(span.but(revision=revision, run=f"r-{revision[:6]}", **changes) for span in SPANS))
    return revision


def test_a_share_of_packages_is_judged_by_functions_or_lines(repository: Repository) -> None:
    code, check = gate("--min", "60")
    assert (code, check["verdict"]) == (0, "passed")
    assert check["reason"] == "5 of 8 functions are executed, 62.50 %, at least 60 % wanted"
    code, check = gate("--min", "shop.jobs=34")
    assert (code, check["verdict"], check["name"]) == (1, "failed", "functions of shop.jobs")
    assert [(each["message"], each["file"], each["line"]) for each in check["findings"]] == [
        ("no profile executes shop.jobs:nightly, it runs at start only", "shop/jobs.py", 5),
        ("no profile executes shop.jobs:Unused.run", "shop/jobs.py", 11),
    ]
    code, check = gate("--min", "shop.orders=90", "--unit", "lines")
    assert (code, check["figures"]["executed"], check["figures"]["total"]) == (1, 6, 8)
    assert "no profile executes lines 13 of shop.orders:Order.total" in [each["message"] for each in check["findings"]]


def test_several_checks_are_all_shown(repository: Repository) -> None:
    done = call("--min", "60", "--min", "shop.orders=90", "--format", "table")
    assert done.stdout.startswith("passed: functions of the source: 5 of 8")
    assert "FAILED: functions of shop.orders: 4 of 5" in done.stdout


def test_the_code_that_changed_since_a_base_is_judged_alone(repository: Repository, store: Store) -> None:
    repository.git("checkout", "--quiet", "-b", "feature")
    orders = repository.folder / "shop/orders.py"
    orders.write_text(orders.read_text().replace("return 0", "return -1").replace("self.rows = []", "self.rows = None"))
    record(store, repository)
    arguments = ("--base", "main", "--changed")
    code, check = gate(*arguments, "50")
    assert (code, check["reason"]) == (0, "1 of 2 functions are executed, 50.00 %, at least 50 % wanted")
    code, check = gate(*arguments, "51")
    assert (code, [each["message"] for each in check["findings"]]) == (
        1,
        ["no profile executes shop.orders:Order.cancel"],
    )
    code, check = gate(*arguments, "1", "--unit", "lines")
    assert (code, check["reason"]) == (1, "0 of 2 lines are executed, 0.00 %, at least 1 % wanted")
    annotations = call(*arguments, "51", "--format", "github").stdout.splitlines()
    assert annotations[1] == (
        "::error file=shop/orders.py,line=19,endLine=20,title=Not executed::"
        "no profile executes shop.orders:Order.cancel"
    )


def test_a_change_of_no_function_passes(repository: Repository) -> None:
    assert gate("--base", "main", "--changed", "100") == (
        0,
        {
            "name": f"changed functions since {repository.git('rev-parse', 'HEAD')[:12]}",
            "verdict": "passed",
            "reason": "no function of the recorded source changed",
            "figures": {},
            "findings": [],
        },
    )


def test_coverage_of_another_revision_decides_nothing(repository: Repository) -> None:
    recorded = repository.git("rev-parse", "HEAD")
    (repository.folder / "shop/orders.py").write_text("X = 1\n")
    for arguments in (("--min", "1"), ("--base", "main", "--changed", "1"), ("--baseline", "previous")):
        code, check = gate(*arguments)
        assert (code, check["verdict"]) == (1, "undecided")
        assert check["reason"].startswith(f"the newest coverage is of {recorded[:12]}, and the source here is")
    assert gate("--min", "1", "--revision", recorded)[0] == 0


def test_where_coverage_is_missing_a_share_that_is_not_reached_is_not_known(
    repository: Repository, store: Store
) -> None:
    repository.write("shop/new.py", "X = 1\n")
    record(store, repository, complete=False, reason="killed", detail="the worker was killed")
    code, check = gate("--min", "90")
    assert (code, check["verdict"]) == (1, "undecided")
    assert "more may be: " in check["reason"]
    assert "the worker was killed" in check["reason"]
    assert gate("--min", "60")[0] == 0
    code, check = gate("--min", "90", "--accept-incomplete")
    assert (code, check["verdict"]) == (1, "failed")


ALLOWED = """\
# what may be lost
orders:Order.cancel  # is to go
orders:sh*

orders:nothing
request GET /canc*
"""


@pytest.fixture
def nights(store: Store, store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    fill_both(store, tmp_path)
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    monkeypatch.setenv("OTEL_COVERAGE_SOURCE", str(tmp_path / "new"))
    return tmp_path


def test_a_loss_that_may_be_one_of_a_profile_that_was_not_played_is_not_known(nights: Path) -> None:
    code, check = gate("--baseline", OLD, "--revision", NEW)
    assert code == 1
    assert check["name"] == f"losses since {OLD}"
    assert [each["message"] for each in check["findings"]] == [
        "no profile executes orders:Order.cancel any more; browse did",
        "no profile reaches GET /cancel of web any more; browse did",
        "no profile is known to execute orders:ship any more; admin, browse did",
    ]
    assert (check["verdict"], check["reason"]) == ("failed", "2 are lost: orders:Order.cancel, GET /cancel")


def test_what_a_committed_list_allows_may_be_lost_and_stale_lines_are_named(nights: Path) -> None:
    allowed = nights / "allowed.txt"
    allowed.write_text(ALLOWED)
    code, check = gate("--baseline", OLD, "--revision", NEW, "--allow", str(allowed))
    assert (code, check["reason"]) == (0, "nothing is lost that is not allowed, 1 stale entry in the list")
    assert [(each["level"], each["line"], each["message"]) for each in check["findings"]] == [
        ("warning", 5, "orders:nothing: nothing that it allows is lost; delete the line")
    ]
    allowed.write_text("orders:Order.cancel\nrequest GET /cancel\n")
    code, check = gate("--baseline", OLD, "--revision", NEW, "--allow", str(allowed))
    assert (code, check["verdict"]) == (1, "undecided")
    assert check["reason"] == "1 may be lost: orders:ship; not played now: admin"
    assert gate("--baseline", OLD, "--revision", NEW, "--allow", str(allowed), "--accept-incomplete")[0] == 0


def test_lines_of_unchanged_functions_may_be_lost_too(nights: Path) -> None:
    allowed = nights / "allowed.txt"
    allowed.write_text("orders:*\nrequest  *  # of another night\n")
    _, check = gate("--baseline", OLD, "--revision", NEW, "--unit", "lines")
    assert "lines 6 of orders:Order.total are no longer executed" in [each["message"] for each in check["findings"]]
    assert gate("--baseline", OLD, "--revision", NEW, "--unit", "lines", "--allow", str(allowed))[0] == 0


JOB = TracedSpan(revision=OLD, run="old", kind="Consumer", role="consumer", profile="browse", functions=[])


def test_routes_and_jobs_that_nobody_reaches_any_more_are_lost_unless_they_are_gone(nights: Path, store: Store) -> None:
    insert_spans(
        store,
        *(
            JOB.but(id=name, trace=name, attributes={"coverage.entry_name": f"orders:{name}"}, second=number)
            for number, name in enumerate(("refund", "ship"), 10)
        ),
    )
    _, check = gate("--baseline", OLD, "--revision", NEW)
    assert [each["message"] for each in check["findings"] if "job orders:ship" in each["message"]] == [
        "no profile reaches job orders:ship of web any more; browse did"
    ]
    assert not [each for each in check["findings"] if "refund" in each["message"]], "the function was removed"


def test_a_route_that_another_service_reaches_now_is_not_lost(nights: Path, store: Store) -> None:
    cancel = {"http.request.method": "GET", "http.route": "/cancel"}
    again = TracedSpan(revision=NEW, run="new", id="n3", trace="n3", profile="browse", service="api", functions=[])
    insert_spans(store, again.but(attributes=cancel, second=103))
    _, check = gate("--baseline", OLD, "--revision", NEW)
    assert not [each for each in check["findings"] if "/cancel" in each["message"]]


def test_a_pattern_of_functions_allows_no_route(nights: Path, store: Store) -> None:
    ship = JOB.but(id="j", trace="j", attributes={"coverage.entry_name": "orders:ship"}, second=9)
    insert_spans(store, ship)
    allowed = nights / "allowed.txt"
    allowed.write_text("*:*\n")
    _, check = gate("--baseline", OLD, "--revision", NEW, "--allow", str(allowed))
    assert check["reason"] == "2 are lost: job orders:ship, GET /cancel"


@pytest.mark.parametrize("line", ["orders", "orders:ship@19", "orders: ship", ":ship", "request", "GET /x"])
def test_a_line_of_the_list_that_is_something_else_is_an_error(nights: Path, line: str) -> None:
    allowed = nights / "allowed.txt"
    allowed.write_text(f"# list\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"allowed\.txt:2: .*expected module:qualname"):
        call("--baseline", OLD, "--allow", str(allowed))


def test_an_unknown_package_and_a_limit_that_is_none_are_errors(nights: Path) -> None:
    with pytest.raises(ConfigurationError, match="the catalog has no such package; did you mean orders"):
        call("--min", "order=80", "--revision", NEW)
    for text in ("x", "orders=", "orders=101", "=-1"):
        with pytest.raises(ConfigurationError, match="expected a number of percent"):
            call("--min", text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "nothing to check"),
        (("--base", "main"), "--base and --changed belong together"),
        (("--artifacts", "x"), "--artifacts and --max-size belong together"),
        (("--allow", "x"), "--baseline, which is not given"),
        (("--min", "3"), "a store is needed"),
    ],
)
def test_what_is_to_be_checked_has_to_be_said(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(click.UsageError, match=words):
        call(*arguments)
