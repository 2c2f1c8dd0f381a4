"""Runs of clients that know only the header: ``playback begin``, ``end`` and ``exec``, from anywhere, by one store."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.store import Store, windows
from otel_coverage.store.windows import Window, default_run
from tests.collecting.test_while_collecting import COMMAND, collecting
from tests.support.spans import TracedSpan, insert_spans

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=timezone.utc)
HEADER_ONLY = TracedSpan(run="", functions=["shop:f@1"], lines=["shop.py:1-2"])
ENQUEUES = TracedSpan(run="", id="p", parent="s1", role="producer", kind="Producer", second=1)
PERFORMS = TracedSpan(
    run="",
    id="j",
    parent="p",
    role="consumer",
    service="worker",
    functions=["shop:j@5"],
    lines=["shop.py:5"],
    second=9000,
)


def playback(dsn: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["playback", *arguments, "--store", dsn])


def runs(dsn: str) -> list[tuple[Any, ...]]:
    done = CliRunner().invoke(cli, ["query", "runs", "--store", dsn, "--format", "json"])
    assert done.exit_code == 0, done.output
    return [
        (row["profile"], row["run"], row["evidence"], row["outcome"], row["requests"], row["jobs"], row["complete"])
        for row in json.loads(done.stdout)
    ]


def window(profile: str, run: str, began: datetime, ended: datetime | None = None) -> Window:
    never = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return Window(profile, run, began, began, ended or never, 1, int(ended is not None), ended is None, "")


def test_a_request_within_a_window_and_its_job_hours_later_are_that_windows_run(store: Store, store_dsn: str) -> None:
    begun = playback(store_dsn, "begin", "checkout", "--run-id", "night-1", "--at", "2025-12-31T23:59:59Z")
    assert (begun.exit_code, begun.output) == (0, "night-1\n")
    ended = playback(store_dsn, "end", "checkout", "--outcome", "passed", "--at", "2026-01-01T00:10:00Z")
    assert (ended.exit_code, ended.output) == (0, "night-1\n")
    insert_spans(store, PERFORMS, ENQUEUES, HEADER_ONLY)
    assert runs(store_dsn) == [("checkout", "night-1", "window", "passed", 1, 1, True)]


def test_two_nights_of_a_revision_are_two_runs_without_any_window(store: Store, store_dsn: str) -> None:
    insert_spans(
        store, HEADER_ONLY, HEADER_ONLY.but(trace="t2", second=600), HEADER_ONLY.but(trace="t3", second=86_400)
    )
    assert runs(store_dsn) == [
        ("checkout", "gap-20260101t000000", "gap", "", 2, 0, True),
        ("checkout", "gap-20260102t000000", "gap", "", 1, 0, True),
    ]


def test_report_and_verify_say_that_a_request_of_such_a_client_can_be_missed(
    store: Store, store_dsn: str, tmp_path: Path
) -> None:
    insert_spans(store, HEADER_ONLY, HEADER_ONLY.but(profile="ours", run="night-1", trace="t2"))
    CliRunner().invoke(
        cli, ["report", "--store", store_dsn, "--out", str(tmp_path / "artifacts")], catch_exceptions=False
    )
    said = "a request that never arrived cannot be noticed"
    (line,) = [line for line in (tmp_path / "artifacts/summary.md").read_text().splitlines() if said in line]
    assert line.endswith(": 'checkout'.")
    for run, is_said in (("gap-20260101t000000", True), ("night-1", False)):
        verified = CliRunner().invoke(cli, ["verify", "--store", store_dsn, "--run", run])
        assert (said in verified.stderr) == is_said


def test_a_report_is_incomplete_where_requests_could_not_be_put_into_their_runs(
    store: Store, store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_spans(store, HEADER_ONLY, HEADER_ONLY.but(profile="ours", run="night-1", trace="t2"))
    monkeypatch.setattr("otel_coverage.store.store._fold", lambda store: None)
    report = ["report", "--store", store_dsn, "--out", str(tmp_path / "artifacts")]
    CliRunner().invoke(cli, report, catch_exceptions=False)
    text = (tmp_path / "artifacts/summary.md").read_text()
    assert "**Incomplete.**" in text
    assert "Requests without a run id of these profiles are not all in their runs yet: 'checkout'" in text


def test_exec_passes_the_exit_code_on_and_says_the_outcome(store: Store, store_dsn: str) -> None:
    for code, outcome in ((0, "passed"), (3, "failed")):
        command = [sys.executable, "-c", f"import os, sys; print(os.environ['BAGGAGE']); sys.exit({code})"]
        done = CliRunner().invoke(
            cli, ["playback", "exec", "checkout", "--store", store_dsn, "--run-id", f"r-{code}", "--", *command]
        )
        assert done.exit_code == code, done.output
        found = store.query("SELECT outcome, is_open FROM run_windows WHERE run = {run:String}", {"run": f"r-{code}"})
        assert found.rows == [(outcome, False)]


def test_exec_gives_its_command_the_header_in_every_form_that_headers_prints(
    store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BAGGAGE", raising=False)
    names = ("BAGGAGE", "PLAYBACK_HEADER", "PLAYBACK_HEADERS", "PLAYBACK_PROFILE", "PLAYBACK_RUN_ID")
    script = tmp_path / "show.py"
    script.write_text(
        f"import os, sys\nopen(sys.argv[1], 'w').write('\\n'.join(os.environ[name] for name in {names}))\n"
    )
    printed = subprocess.run(
        [*COMMAND, "playback", "headers", "checkout", "--run-id", "r", "--format", "env"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = [sys.executable, str(script)]
    subprocess.run(["sh", "-c", f'{printed}exec "$@"', "sh", *command, str(tmp_path / "shell")], check=True)
    ran = playback_exec(store_dsn, "--run-id", "r", "--", *command, str(tmp_path / "exec"))
    assert ran.exit_code == 0, ran.output
    value = "playback.profile=checkout,playback.run_id=r"
    expected = [value, f"baggage: {value}", json.dumps({"baggage": value}), "checkout", "r"]
    assert (tmp_path / "shell").read_text().splitlines() == expected
    assert (tmp_path / "exec").read_text().splitlines() == expected


def playback_exec(dsn: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["playback", "exec", "checkout", "--store", dsn, *arguments])


def test_exec_waits_where_it_is_asked_to_and_says_what_did_not_arrive(store: Store, store_dsn: str) -> None:
    nothing = playback_exec(store_dsn, "--run-id", "none", "--wait", "0.1", "--", "true")
    assert nothing.exit_code == 1
    assert "nothing of checkout arrived in the store within 0.1 s" in nothing.stderr
    insert_spans(store, HEADER_ONLY.but(run="r"), ENQUEUES.but(run="r"))
    missing = playback_exec(store_dsn, "--run-id", "r", "--wait", "0.1", "--", "true")
    assert missing.exit_code == 1
    assert "0 requests and 1 job of run r did not arrive in the store within 0.1 s: checkout: GET /" in missing.stderr
    insert_spans(store, PERFORMS.but(run="r"))
    whole = playback_exec(store_dsn, "--run-id", "r", "--wait", "60", "--", "true")
    assert (whole.exit_code, whole.stderr) == (0, "otel-coverage: run r\n")
    failed = playback_exec(store_dsn, "--run-id", "other", "--wait", "60", "--", "false")
    assert failed.exit_code == 1
    assert "arrived" not in failed.stderr


def test_exec_passes_signals_on_and_says_that_it_failed(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path / 'store'}"
    with collecting(dsn):
        command = [sys.executable, "-uc", "import time; print('started'); time.sleep(60)"]
        with subprocess.Popen(
            [*COMMAND, "playback", "exec", "checkout", "--store", dsn, "--run-id", "r", "--", *command],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 128 + signal.SIGTERM
        asked = "SELECT outcome, is_open FROM run_windows"
        done = subprocess.run(
            [*COMMAND, "query", "--store", dsn, "--sql", asked, "--format", "csv"], capture_output=True, text=True
        )
        assert done.stdout.splitlines()[1:] == ["failed,false"], done.stderr


def test_what_began_twice_ended_without_a_begin_or_runs_elsewhere_is_said(store: Store, store_dsn: str) -> None:
    playback(store_dsn, "begin", "checkout", "--at", "2026-11-26T03:00:00Z")
    again = playback(store_dsn, "begin", "checkout", "--at", "2026-11-26T03:05:00Z")
    assert again.stdout == "2026-11-26\n"
    assert "checkout began in run 2026-11-26 before, at 2026-11-26T03:00:00.000000Z, and has not ended" in again.stderr
    beside = playback(store_dsn, "begin", "checkout", "--run-id", "other", "--at", "2026-11-26T03:06:00Z")
    assert "belong to none of them; end the others by `playback end checkout --run-id 2026-11-26" in beside.stderr
    unclear = playback(store_dsn, "end", "checkout", "--outcome", "passed", "--at", "2026-11-26T03:10:00Z")
    assert unclear.exit_code == 1
    assert "several runs, 2026-11-26, other; --run-id names one" in str(unclear.exception)
    alone = playback(store_dsn, "end", "search", "--outcome", "passed", "--at", "2026-11-26T03:10:00Z")
    assert alone.exit_code == 0
    assert "search never began in run 2026-11-26, so no request belongs to it" in alone.stderr
    wrong = playback(store_dsn, "begin", "Check Out")
    assert "the profile 'Check Out' is not valid" in str(wrong.exception)


@pytest.mark.parametrize(("ahead", "said"), [(60, "60.0 s ahead of"), (-60, "60.0 s behind"), (2, ""), (-2, "")])
def test_a_clock_that_differs_by_more_than_requests_may_miss_a_window_is_said(
    store: Store, store_dsn: str, monkeypatch: pytest.MonkeyPatch, ahead: int, said: str
) -> None:
    monkeypatch.setattr(windows, "clock_difference", lambda store: timedelta(seconds=ahead))
    begun = playback(store_dsn, "begin", "checkout")
    assert (f"this machine's clock is {said} the store's" in begun.stderr) == bool(said)
    assert ("--clock-skew 61" in begun.stderr) == bool(said)


def test_the_clocks_of_one_machine_do_not_differ(store: Store) -> None:
    assert windows.clock_difference(store) == timedelta()


def test_a_report_says_which_requests_began_outside_of_their_window_and_names_the_header_where_none_came(
    store: Store, store_dsn: str, tmp_path: Path
) -> None:
    playback(store_dsn, "begin", "checkout", "--run-id", "night-1", "--at", "2026-01-01T00:00:03Z")
    playback(store_dsn, "end", "checkout", "--outcome", "passed", "--at", "2026-01-01T00:10:00Z")
    insert_spans(store, HEADER_ONLY)
    playback(store_dsn, "begin", "search", "--run-id", "night-2", "--at", "2026-01-01T01:00:00Z")
    playback(store_dsn, "end", "search", "--outcome", "passed", "--at", "2026-01-01T01:10:00Z")
    report = ["report", "--store", store_dsn, "--out", str(tmp_path / "artifacts")]
    CliRunner().invoke(cli, report, catch_exceptions=False)
    text = (tmp_path / "artifacts/summary.md").read_text()
    assert "Requests that began just outside of the windows of these profiles" in text
    assert "nothing of it arrived within its window; usually its client did not send X-Profile-Trace" in text


@pytest.mark.parametrize(
    ("before", "run"),
    [
        ([], "2026-11-26"),
        ([("search", "2026-11-25", 22, 23)], "2026-11-25"),  # a night is one run, past midnight, too
        ([("search", "2026-11-25", 10, 11)], "2026-11-26"),
        ([("checkout", "2026-11-25", 22, 23)], "2026-11-25.2"),
        ([("checkout", "2026-11-25", 22, 23), ("checkout", "2026-11-25.2", 23, 24)], "2026-11-25.3"),
        ([("search", "pipeline-7", 22, 23)], "2026-11-26"),  # a run that was named is nobody else's
    ],
)
def test_profiles_played_one_after_the_other_are_one_run_by_default(
    before: list[tuple[str, str, int, int]], run: str
) -> None:
    day = datetime(2026, 11, 25, tzinfo=timezone.utc)
    known = [window(slug, name, day + timedelta(hours=a), day + timedelta(hours=b)) for slug, name, a, b in before]
    assert default_run(known, "checkout", NOW) == run
