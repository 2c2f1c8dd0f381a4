"""Reports name what was played, or should have been, and is not in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.reporting.caveats import caveats
from otel_coverage.reporting.queries import doubts, select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.reporting.summary import notes, summary
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from otel_coverage.store.named_queries import named_query
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.spans import TracedSpan, insert_catalog, insert_spans

LOST = TracedSpan(
    id="c9", trace="t9", profile="refund", run="r9", role="client", service="playback", revision="", second=60
)
SENTENCE = (
    "Run 'r9' (2026-01-01 00:01 UTC) of 'refund': nothing of it arrived; usually the application was started without "
    "`otel-coverage run` or OTEL_COVERAGE_ENABLED=1, has another OTEL_COVERAGE_TOKEN, or sends to another collector"
)
PLAYED = TracedSpan(id="s9", trace="t9", profile="checkout", functions=PLACE)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_run_of_which_nothing_arrived_is_named_on_top(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    fill(store, tree, [*SPANS, LOST])
    queries = select_revision(store)
    assert not queries.complete
    report = write_report(queries, tree, tmp_path / "out")
    assert report.notes[0] == f"{SENTENCE}. What is shown was recorded before."
    page = (tmp_path / "out" / "summary.md").read_text()
    assert page.splitlines()[2].startswith("> **Incomplete.** Run 'r9' (2026-01-01 00:01 UTC) of 'refund': nothing")
    assert page.count("nothing of it arrived") == 1
    found = json.loads((tmp_path / "out" / "matrix.json").read_text())
    assert (found["complete"], found["problems"]) == (False, [report.notes[0]])
    assert [row["complete"] for row in found["profiles"]] == [True, True]


def test_only_the_newest_of_many_lost_runs_and_some_of_their_profiles_are_named(store: Store) -> None:
    insert_spans(store, PLAYED)
    insert_spans(
        store,
        *[
            LOST.but(id=f"{run}{profile}", trace=f"{run}{profile}", run=f"n{run}", profile=f"p{profile}", second=run)
            for run in range(60, 65)
            for profile in range(7)
        ],
    )
    (sentence,) = select_revision(store).problems
    assert sentence.startswith("Runs 'n64' (2026-01-01 00:01 UTC) of 'p0', 'p1', 'p2', 'p3', 'p4' and 2 more, 'n63' ")
    assert "'n62'" in sentence
    assert ", and 2 more: nothing of it arrived" in sentence


def test_a_report_on_an_older_revision_knows_nothing_of_what_came_later(store: Store) -> None:
    insert_spans(store, PLAYED, PLAYED.but(id="s10", trace="t10", revision="newer", second=10), LOST)
    assert select_revision(store, revision="abc").complete
    assert not select_revision(store, revision="newer").complete


def test_the_error_for_a_revision_or_a_store_without_coverage_names_lost_runs(store: Store) -> None:
    insert_spans(store, LOST)
    with pytest.raises(StoreError, match=r"no coverage; play a profile .*\. Run 'r9' .* of 'refund': nothing"):
        select_revision(store)
    insert_spans(store, PLAYED)
    with pytest.raises(
        ConfigurationError, match=r"no coverage of revision 'tonight'; it has abc\. Run 'r9' .*: nothing"
    ):
        select_revision(store, revision="tonight")


def test_every_query_about_the_newest_revision_warns_that_what_it_answers_is_older(
    store: Store, store_dsn: str
) -> None:
    insert_spans(store, PLAYED, LOST)
    done = call("query", "leaderboard", "--store", store_dsn)
    assert (done.exit_code, done.stderr) == (0, f"otel-coverage: {SENTENCE}\n")
    assert [row["profile"] for row in json.loads(done.stdout)] == ["checkout"]
    assert call("query", "tables", "--store", store_dsn).stderr == ""


def test_recordings_whose_profile_was_not_played_are_named(
    store: Store, store_dsn: str, tree: SourceTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tree)
    monkeypatch.chdir(tmp_path)
    for profile in ("checkout", "browse", "refund", "login"):
        folder = tmp_path / "profiles" / profile
        folder.mkdir(parents=True)
        lines = [{"recording": 1, "profile": profile}, {"method": "GET", "path": "/"}]
        (folder / "recording.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    common = ("report", "--store", store_dsn, "--out", "out", "--source", "project", "--expect")
    done = call(*common, "profiles")
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["notes"] == ["Expected, and not played at this revision: 'login', 'refund'."]
    assert printed["complete"] is False
    single = call(*common, "profiles/checkout", "--expect", "profiles/browse/recording.jsonl")
    assert json.loads(single.stdout)["complete"] is True
    (tmp_path / "nothing").mkdir()
    empty = call(*common, "nothing")
    assert isinstance(empty.exception, ConfigurationError)
    assert "nothing: no playback recordings in this folder" in str(empty.exception)


def test_a_profile_that_the_newest_run_did_not_play_is_remarked_on(store: Store) -> None:
    insert_spans(store, PLAYED, PLAYED.but(id="s2", trace="t2", profile="refund"))
    insert_spans(store, PLAYED.but(id="s3", trace="t3", run="r2", second=9))
    queries = select_revision(store)
    assert "Run 'r2', the newest, did not play what run 'r1' did: 'refund'." in notes(queries)
    assert list(caveats(queries)) == []  # its coverage is of an earlier run at the same revision
    assert queries.complete


def test_a_profile_that_was_not_played_at_this_revision_limits_what_complete_says(store: Store) -> None:
    insert_spans(
        store, PLAYED.but(revision="before"), PLAYED.but(id="s2", trace="t2", profile="refund", revision="before")
    )
    insert_spans(store, PLAYED.but(id="s3", trace="t3", run="r2", second=9))
    queries = select_revision(store, revision="abc")
    sentence = "Run 'r2', the newest, did not play what run 'r1' did, and no run at this revision did: 'refund'."
    assert list(caveats(queries)) == [sentence]
    assert sentence in notes(queries)
    assert queries.complete
    assert list(caveats(select_revision(store, revision="before"))) == []


def test_a_profile_that_failed_once_and_then_passed_is_complete(store: Store) -> None:
    root = TracedSpan(id="root", trace="t9", profile="checkout", role="", service="playback", revision="")
    failed = PLAYED.but(id="bad", trace="t8", run="r0", complete=False, reason="greenlets")
    insert_spans(store, root.but(outcome="passed"), PLAYED, root.but(id="r", trace="t8", run="r0", outcome="failed"))
    insert_spans(store, failed, failed.but(id="bad2"))
    queries = select_revision(store)
    (row,) = queries.profiles
    assert (doubts(row), row["runs"], row["counted_runs"], row["requests"]) == ("", 2, 1, 1)
    assert queries.complete
    assert "Runs that failed do not count beside others of their profile: 'checkout'." in notes(queries)
    assert "| 1 | `checkout` | 3 | – | – | – | 1 | 0 | 1 of 2 | yes |" in summary(queries)


def test_what_names_no_revision_is_labelled_and_told_how_to_get_a_catalog(store: Store) -> None:
    insert_spans(store, PLAYED.but(revision=""))
    label, advice = notes(select_revision(store))[:2]
    assert label.startswith("The application named no revision, so this may be of several states of its code")
    assert "`otel-coverage catalog push --revision unknown`" in advice
    insert_catalog(store, {"qualname": "f", "line": 1}, revision="unknown")
    assert not any("catalog" in note for note in notes(select_revision(store)))


def test_a_run_whose_processes_were_at_several_revisions_is_incomplete_at_each(store: Store) -> None:
    request = PLAYED.but(run="r1", revision="new")
    job = PLAYED.but(id="j1", run="r1", revision="old", role="consumer", service="worker", parent="s9", second=5)
    insert_spans(store, request, job)
    for revision in ("new", "old"):
        queries = select_revision(store, revision=revision)
        assert not queries.complete
        (row,) = queries.profiles
        assert row["incomplete_reasons"] == ["several_revisions"]
        assert row["incomplete_details"][0].startswith("it was recorded at several revisions, new and old;")
        (told,) = named_query("incomplete").ask(store, {"revision": revision}).records()
        assert (told["kind"], told["incomplete_reason"]) == ("run", "several_revisions")


def test_a_run_id_that_is_used_again_at_another_revision_splits_no_run(store: Store) -> None:
    insert_spans(store, PLAYED.but(run="nightly"), PLAYED.but(run="nightly", trace="t77", id="x", revision="newer"))
    assert select_revision(store, revision="abc").complete
    assert select_revision(store, revision="newer").complete
