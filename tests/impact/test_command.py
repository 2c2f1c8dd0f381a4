"""``otel-coverage impacted``: the change of a repository, asked of a store."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from otel_coverage import catalog
from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.impact.repository import Repository
from tests.reporting.project import FILES, SPANS
from tests.support.spans import insert_spans

START = SPANS[-1]
WEB_START = START.but(id="s5", service="web", functions=["shop.jobs:nightly@5"])


@pytest.fixture
def repository(store: Store, store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A project with coverage of its first commit, and a branch on which nothing has changed yet."""
    made = Repository(tmp_path / "project")
    for name, text in FILES.items():
        made.write(name, text)
    made.write(
        "profiles/checkout/recording.jsonl", '{"recording": 1, "profile": "checkout"}\n{"method": "GET", "path": "/"}\n'
    )
    base = made.commit()
    made.git("checkout", "--quiet", "-b", "feature")
    catalog.push(store, catalog.build(SourceTree([str(made.folder / "shop")])), base)
    insert_spans(store, *(span.but(revision=base) for span in (*SPANS, WEB_START)))
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("OTEL_COVERAGE_STORE", store_dsn)
    monkeypatch.setenv("OTEL_COVERAGE_SOURCE", "shop")
    return made


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["impacted", "--base", "main", *arguments], catch_exceptions=False)


def edit(repository: Repository, old: str, new: str, name: str = "shop/orders.py") -> None:
    path = repository.folder / name
    path.write_text(path.read_text().replace(old, new))


def test_programs_read_which_profiles_to_replay_and_why(repository: Repository) -> None:
    edit(repository, "return 0", "return 1")
    done = call()
    found = json.loads(done.stdout)
    Draft202012Validator(
        json.loads(resources.files("otel_coverage.impact").joinpath("impacted.schema.json").read_text())
    ).validate(found)
    assert found["selected"] == [{"profile": "checkout", "reasons": [0]}]
    assert found["reasons"][0]["detail"] == "executes shop.orders:Order.total, which was changed"
    assert found["spared"] == ["browse"]
    assert found["coverage_revision"] == found["merge_base"] == repository.git("rev-parse", "main")
    assert [each["symbol"] for each in found["functions"]] == ["shop.orders:Order.total"]


@pytest.mark.parametrize(("starts", "spared"), [((), []), (("api",), ["browse"])])
def test_a_start_in_which_nothing_of_the_application_ran_is_a_recorded_one(
    starts: tuple[str, ...], spared: list[str], repository: Repository, store: Store
) -> None:
    recorded = repository.git("rev-parse", "main")
    api = SPANS[0].but(revision=recorded, service="api", id="a1", trace="a1", run="r-api", functions=[], lines=[])
    empty = START.but(revision=recorded, id="s6", trace="s6", functions=[])
    insert_spans(store, api, *(empty.but(service=service) for service in starts))
    edit(repository, "return 0", "return 1")
    assert json.loads(call().stdout)["spared"] == spared


def test_a_ci_job_reads_a_matrix_and_shells_read_names(repository: Repository) -> None:
    assert call("--format", "matrix").stdout == '{"profile":[]}\n'
    edit(repository, "return rows", "return [rows]")
    assert call("--format", "matrix").stdout == '{"profile":["browse","checkout"]}\n'
    assert call("--format", "names").stdout == "browse\ncheckout\n"


def test_people_read_sentences_and_tables(repository: Repository) -> None:
    since = repository.git("rev-parse", "main")[:12]
    assert call("--format", "table").stdout == f"Nothing differs from {since}: no profile is to be replayed.\n"
    edit(repository, "x = 1", "x = 1  # one", "shop/jobs.py")
    assert call("--format", "table").stdout == (
        f"1 file differs from {since}, in nothing that the interpreter sees or a profile reads: no profile is to be "
        "replayed.\n"
    )
    edit(repository, "return 0", "return 1")
    edit(repository, "self.rows = []", "self.rows = None")
    shown = call("--format", "table").stdout
    assert shown.startswith(
        f"2 files differ from {since}, 1 of them in nothing that matters. Replay 1 of 2 profiles.\n"
        "1 changed function that no profile is known to reach.\n"
    )
    assert "executes shop.orders:Order.total, which was changed" in shown
    assert "shop/orders.py:19" in shown.partition("function that no profile reaches")[2]
    comment = call("--format", "markdown").stdout
    assert comment.startswith("### Profiles to replay\n")
    assert "| checkout | executes shop.orders:Order.total, which was changed |" in comment.replace("\\", "")


def test_a_comment_links_the_views_of_a_published_page(repository: Repository) -> None:
    edit(repository, "return 0", "return 1")
    page = "https://shop.example/nights/index.html"
    comment = call("--format", "markdown", "--page-url", page).stdout
    assert f"[checkout]({page}#/profile/checkout)" in comment
    with pytest.raises(ConfigurationError, match="expected an address such as https"):
        call("--page-url", "javascript:alert(1)")


def test_coverage_of_an_earlier_commit_serves_with_what_changed_since(repository: Repository) -> None:
    recorded = repository.git("rev-parse", "main")
    repository.git("checkout", "--quiet", "main")
    edit(repository, "return 0", "return 1")
    repository.commit()
    repository.git("checkout", "--quiet", "-B", "feature")
    edit(repository, "return rows", "return [rows]")
    found = json.loads(call().stdout)
    assert found["coverage_revision"] == recorded
    assert [each["profile"] for each in found["selected"]] == ["browse", "checkout"]
    assert {each["code"] for each in found["reasons"]} == {"executes", "stale_coverage"}


def test_coverage_of_what_git_does_not_know_selects_all(repository: Repository, store: Store) -> None:
    insert_spans(store, *(span.but(revision="v1", run="other") for span in SPANS))
    edit(repository, "return 0", "return 1")
    found = json.loads(call("--revision", "v1").stdout)
    assert [each["profile"] for each in found["selected"]] == ["browse", "checkout"]
    assert found["reasons"][-1]["detail"].endswith("coverage of v1, and git here cannot tell what changed since then")


def test_source_outside_of_the_repository_may_have_changed(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/money.py").write_text("X = 1\n")
    monkeypatch.setenv("OTEL_COVERAGE_SOURCE", f"shop,{tmp_path / 'lib'}")
    edit(repository, "return 0", "return 1")
    assert call("--format", "names").stdout == "browse\ncheckout\n"


def test_a_base_that_git_does_not_know_is_an_error(repository: Repository) -> None:
    with pytest.raises(ConfigurationError, match="git knows no commit 'mian'"):
        CliRunner().invoke(cli, ["impacted", "--base", "mian"], catch_exceptions=False)


def test_without_any_coverage_all_recordings_are_played(
    store: Store, store_dsn: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(repository, "return 0", "return 1")
    found = json.loads(call("--namespace", "other").stdout)
    assert [each["profile"] for each in found["selected"]] == ["checkout"]
    assert [each["code"] for each in found["reasons"]] == ["stale_coverage", "never_recorded"]
