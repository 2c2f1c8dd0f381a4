"""What the server of a live store answers, to whom, and what becomes of it when the store goes."""

from __future__ import annotations

import csv
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from otel_coverage.cli.main import cli
from otel_coverage.errors import OtelCoverageError
from otel_coverage.reporting.artifacts import ARTIFACTS
from otel_coverage.reporting.history import history, write_history
from otel_coverage.reporting.profiles.documents import Documents
from otel_coverage.reporting.profiles.executed import executed_by_profiles
from otel_coverage.reporting.queries import RevisionQueries, select_revision
from otel_coverage.store import open_store
from otel_coverage.store.lock_owner import lock_owner
from tests.reporting.project import SPANS, make_project
from tests.reporting.serving.collecting import PATIENCE, Served, collecting, reporting
from tests.support.commands import wait_until

FORMULA = SPANS[2].but(id="s8", trace="t8", profile="formula", functions=["=shop.sheet:run@6"], lines=(), second=8)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A collector that serves the page of the project's spans; for tests that change none of it."""
    folder = tmp_path_factory.mktemp("served")
    with collecting(folder) as collector:
        collector.push_catalog(make_project(folder / "project"))
        collector.export(*SPANS[:3], FORMULA)
        collector.wait_for(lambda status: status["phase"] == "ready")
        yield collector


def test_only_who_has_the_token_or_the_cookie_that_it_is_exchanged_for_is_answered(served: Served) -> None:
    opened = httpx.get(served.url, timeout=PATIENCE)
    cookie = opened.headers["Set-Cookie"]
    assert (opened.status_code, served.token in cookie) == (200, False)
    assert cookie.endswith("; HttpOnly; Path=/; SameSite=Strict")
    kept = {"Cookie": cookie.partition(";")[0]}
    statuses = {
        name: httpx.get(served.base + path, headers=headers, timeout=PATIENCE).status_code
        for name, path, headers in (
            ("cookie", "/status.json", kept),
            ("header", "/status.json", {"Authorization": f"Bearer {served.token}"}),
            ("nothing", "/status.json", {}),
            ("nothing, of the page", "/", {}),
            ("another cookie", "/status.json", {"Cookie": f"{kept['Cookie'][:-1]}~"}),
            ("another token", "/", {"Authorization": f"Bearer {served.token}x"}),
            ("the token in the address of data", f"/status.json?token={served.token}", {}),
            ("another host", "/status.json", {**kept, "Host": "rebound.example"}),
            ("another origin", "/status.json", {**kept, "Origin": served.base}),
        )
    }
    assert statuses == {
        "cookie": 200,
        "header": 200,
        "nothing": 401,
        "nothing, of the page": 401,
        "another cookie": 401,
        "another token": 401,
        "the token in the address of data": 401,
        "another host": 403,
        "another origin": 403,
    }


def test_it_is_only_read_and_nothing_else_may_embed_or_script_it(served: Served) -> None:
    wrong = httpx.post(served.base, headers={"Authorization": f"Bearer {served.token}"}, timeout=PATIENCE)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD")
    page = httpx.get(served.url, timeout=PATIENCE)
    assert "'unsafe" not in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "sandbox" in served.get("/gaps.csv").headers["Content-Security-Policy"]
    assert not [name for name in page.headers if name.startswith("access-control")]
    head = httpx.head(f"{served.base}/gaps.json", headers={"Authorization": f"Bearer {served.token}"}, timeout=PATIENCE)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0


def test_each_address_has_the_bytes_of_the_file_that_a_report_would_write(served: Served, tmp_path: Path) -> None:
    with open_store(served.dsn, read_only=True) as store:
        write_everything(select_revision(store), tmp_path)
    listed = served.get("/index.json").json()
    assert listed["profiles"] == ["browse", "checkout", "formula"]
    urls = [url for url in listed["files"] if "{profile}" not in url]
    found = {url: served.get(url) for url in [*urls, "/leaderboard.csv", "/profiles/checkout.json"]}
    expected = {
        url: (tmp_path / url[1:].replace("profiles.", "leaderboard.").replace("profiles/checkout", "checkout/report"))
        for url in found
    }
    assert {url: answer.content for url, answer in found.items()} == {
        url: path.read_bytes() for url, path in expected.items()
    }
    assert {"/gaps.csv", "/matrix.json", "/history.json", "/entry-points.parquet"} < found.keys()
    cells = [row["symbol"] for row in csv.DictReader(found["/reverse-index.csv"].text.splitlines())]
    assert "'=shop.sheet:run@6" in cells  # no formula
    again = served.get("/gaps.csv", **{"If-None-Match": found["/gaps.csv"].headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def write_everything(queries: RevisionQueries, folder: Path) -> None:
    for write in ARTIFACTS.values():
        write(queries, folder)
    write_history(queries, history(queries), folder)
    documents = Documents(queries, queries.catalog, folder)
    for executed in executed_by_profiles(queries):
        documents.write(executed)


def test_an_unknown_address_is_answered_with_those_that_there_are(served: Served) -> None:
    for path, said in (
        ("/gap.json", "there is no /gap.json; did you mean gaps.json"),
        ("/profiles/chekout.json", "there is no profile 'chekout'; did you mean checkout?"),
        ("/diff.json", "there is no /diff.json"),  # nothing is compared
        ("/..%2f..%2fetc%2fpasswd", "there is no /..%2F..%2Fetc%2Fpasswd"),
        ("/profiles/..%2f..%2fetc%2fpasswd.json", "there is no profile '../../etc/passwd'"),
    ):
        answer = served.get(path)
        assert (answer.status_code, said in answer.json()["error"]) == (404, True), answer.text
        assert "/gaps.csv" in answer.json()["files"]


def test_a_page_of_its_own_shows_some_profiles_and_services_of_a_store_that_is_collected(served: Served) -> None:
    with reporting(served.dsn, "--profile", "check*", "--service", "web", "--revision", "abc") as page:
        gaps = page.get("/gaps.json").json()
        assert (gaps["services"], gaps["selection"]["profiles"]) == (["web"], ["checkout"])
        page.wait_for(lambda status: status["phase"] == "ready")
        assert page.get("/page.json").json()["blocks"].keys() >= {"head", "names", "numbers", "sets"}
        assert page.end(signal.SIGINT) == 0


def test_it_waits_for_what_is_not_there_yet_and_says_what_it_waits_for(served: Served) -> None:
    with reporting(served.dsn, "--profile", "later") as page:
        status = page.wait_for(lambda status: status["phase"] == "waiting")
        assert "no profile 'later'" in status["message"]
        assert page.get("/gaps.json").status_code == 404
        assert page.get("/page.json").status_code == 503


def test_a_collector_can_come_and_go_and_come_back_beside_it(tmp_path: Path) -> None:
    with collecting(tmp_path) as first:
        first.push_catalog(make_project(tmp_path / "project"))
        first.export(*SPANS[:2])
        first.end()
    with reporting(first.dsn) as page:
        alone = page.wait_for(lambda status: status["phase"] == "ready")["version"]
        wait_until(lambda: lock_owner(f"{tmp_path}/store") is None)  # it reads the folder, and lets go of it
        with collecting(tmp_path) as second:
            second.export(SPANS[2])
            beside = page.wait_for(lambda status: status["version"] != alone)
            assert (beside["phase"], beside["problem"]) == ("ready", "")
            assert second.end() == 0
        away = page.wait_for(lambda status: status["problem"])
        assert (away["phase"], away["version"]) == ("ready", beside["version"])
        assert lock_owner(f"{tmp_path}/store") is None  # so that it can be started again
        with collecting(tmp_path) as third:
            third.export(SPANS[2].but(id="s9", trace="t9", profile="return", second=9))
            back = page.wait_for(lambda status: status["version"] != beside["version"])
            assert (back["phase"], back["problem"]) == ("ready", "")
            assert page.get("/index.json").json()["profiles"] == ["browse", "checkout", "return"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("report --serve=192.0.2.1:80", "reachable from other machines"),
        ("report --serve --out=x", "--out is about files that are written"),
        ("report --serve --fail-under=3", "--fail-under is about files that are written"),
        ("report --open --out=x", "add --serve"),
        ("report", "--out names the folder to write to; or --serve serves the report"),
        ("report --serve=127.0.0.1:0 --since=yesterday", "--since 'yesterday': not a time"),
        ("report --serve=127.0.0.1:0", "there is no store"),
        ("collect --serve --clickhouse-endpoint=none", "through its ClickHouse endpoint"),
    ],
)
def test_what_cannot_be_served_is_an_error(command: str, said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, [*command.split(), "--store", f"chdb://{tmp_path}/none"])
    if not isinstance(done.exception, OtelCoverageError):
        assert done.exit_code == 2, done.output
    assert said in f"{done.output}{done.exception}"
