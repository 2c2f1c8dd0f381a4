"""From damaged bytes in a file of a spool to what ``verify`` says of the run that was played meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from otel_coverage.cli.main import cli
from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.spool import Spool
from otel_coverage.spool.drain import Drain
from otel_coverage.spool.receiver import connect
from otel_coverage.store import Store
from otel_coverage.store.folding import fold
from tests.spool.requests import request


def reasons(dsn: str, run: str) -> tuple[int, dict[str, str]]:
    """The exit code of ``verify``, and the details of what it finds, by reason."""
    done = CliRunner().invoke(cli, ["verify", "--store", dsn, "--run", run])
    return done.exit_code, {found["reason"]: found["detail"] for found in json.loads(done.stdout)["missing"]}


def test_verify_says_of_a_run_that_a_record_of_the_spool_was_damaged_as_it_was_played(
    store: Store, store_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool")
    for name in ("first", "damaged", "last"):
        assert spool.append(request(name))
    (file,) = (tmp_path / "spool").glob("*.spool")
    data = file.read_bytes()
    with file.open("r+b") as opened:  # another descriptor of the same file, whose locks nobody needs any more
        opened.seek(data.index(b"damaged"))
        opened.write(b"DAMAGED")
    with Collector(Endpoint.parse("127.0.0.1:0")) as collector:
        collector.start(store)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{collector.endpoints['OTLP/gRPC']}")
        drain = Drain(tmp_path / "spool", connect(), max_age=3600.0, max_bytes=10_000_000)
        assert drain.run()
        drain.receiver.close()
    assert drain.counts.sent == 2
    fold(store)
    code, found = reasons(store_dsn, "run-1")
    assert code == 1
    assert "of the spool" in found["damaged_record"]
    assert "shop" in found["damaged_record"]
