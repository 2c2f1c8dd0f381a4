"""Disks that are full or nearly full, and disks whose power is cut."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults.comparison import compare
from tests.faults.deployment import Deployment, wait_until
from tests.faults.disks import MEGABYTE, cut_disk, small_disk

RESERVE = ("--reserve-bytes", str(4 * MEGABYTE), "--log-bytes", str(64 * MEGABYTE))
CUTS = 5

_ARRIVED = "SELECT count() FROM otel_traces WHERE SpanAttributes['coverage.role'] = 'server'"


def _requests(run: str, count: int) -> list[dict[str, Any]]:
    requests = []
    for number in range(count):
        parts = "-".join(str((number + each) % 24) for each in range(6))
        method, action = ("POST", "enqueue") if number % 10 == 9 else ("GET", "take")
        requests.append(
            {"method": method, "path": f"/{action}/{parts}/{run}-{number}", "profile": f"profile-{number % 5}"}
        )
    return requests


@pytest.mark.timeout(600)
def test_a_disk_that_another_writer_fills_loses_nothing(folder: Path) -> None:
    with small_disk(folder, 160) as disk, Deployment(folder, store=disk.path / "store") as deployment:
        deployment.start_collector(*RESERVE)
        deployment.start_application("--threads", "4")
        deployment.send("before", _requests("before", 40)).wait()
        disk.fill()
        deployment.send("full", _requests("full", 60), pause=0.05).wait()
        disk.free()
        with disk.contested(leave=5 * MEGABYTE):
            deployment.send("nearly-full", _requests("nearly-full", 120), pause=0.1).wait()
        assert deployment.collector is not None
        deployment.collector.check()
        deployment.send("after", _requests("after", 40)).wait()
        deployment.settle()
        deployment.stop_collector()
        deployment.start_collector(*RESERVE)  # parts that were written badly show now
        comparison = compare(deployment, ["before", "full", "nearly-full", "after"])
        print(comparison.summary())
        comparison.check()
        assert not comparison.lost


@pytest.mark.timeout(600)
def test_a_collector_ends_with_one_line_where_the_disk_is_full(folder: Path) -> None:
    with small_disk(folder, 16) as disk, Deployment(folder, store=disk.path / "store") as deployment:
        disk.fill()
        result = (
            deployment.command("collect", "--store", deployment.dsn, "--grpc-endpoint", "127.0.0.1:0")
            if (disk.is_real)
            else None
        )
        if result is not None:
            assert result.returncode == 2, result.stderr
            assert len(result.stderr.splitlines()) == 1, result.stderr


@pytest.mark.timeout(600)
def test_a_spool_on_a_full_disk_never_fails_a_request_and_what_it_lost_is_marked(folder: Path) -> None:
    with small_disk(folder, 4) as disk, Deployment(folder, {"XDG_STATE_HOME": str(disk.path)}) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        deployment.relay("refuse UNAVAILABLE")
        disk.fill()
        deployment.send("spool-full", _requests("spool-full", 60), pause=0.03).wait()
        deployment.relay("forward")
        disk.free()
        deployment.send("afterwards", _requests("spool-full-later", 20)).wait()
        deployment.settle()
        comparison = compare(deployment, ["spool-full", "afterwards"])
        print(comparison.summary())
        comparison.check()


@pytest.mark.timeout(600)
def test_what_is_lost_on_a_disk_that_stays_full_until_the_application_has_ended_is_marked(folder: Path) -> None:
    with small_disk(folder, 4) as disk, Deployment(folder, {"XDG_STATE_HOME": str(disk.path)}) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")

        def requests(about: str, each: int) -> list[dict[str, Any]]:
            ids = [(f"profile-{number // each}", f"{about}-{number}") for number in range(40 * each)]
            return [{"method": "GET", "path": f"/take/1-2/{id_}", "profile": profile} for profile, id_ in ids]

        deployment.send("stays-full", requests("before", 1)).wait()
        wait_until(lambda: deployment.query(_ARRIVED).rows[0][0] == 40)
        disk.fill()
        jobs = [{"method": "POST", "path": "/enqueue/1-2/job-while", "profile": "profile-0"}]
        deployment.send("stays-full", [*requests("while", 4), *jobs]).wait()  # more than what was begun has room for
        wait_until(lambda: any(line["event"] == "done" for line in deployment.jobs()))
        deployment.stop_application()
        disk.free()
        deployment.settle()
        comparison = compare(deployment, ["stays-full"])
        print(comparison.summary())
        comparison.check()


@pytest.mark.timeout(600)
def test_a_power_cut_loses_nothing_that_was_acknowledged(folder: Path) -> None:
    with cut_disk(folder) as disk, Deployment(folder, store=disk.path / "store") as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        runs = [f"cut-{number}" for number in range(CUTS)]
        acknowledged = 0
        for run in runs:
            rng = random.Random(run)
            client = deployment.send(run, _requests(run, 60), pause=0.02)
            before = len(deployment.exports())
            wait_until(lambda before=before: len(deployment.exports()) > before)  # type: ignore[misc]
            time.sleep(rng.uniform(0, 1))
            deployment.kill_collector()
            disk.cut()
            acknowledged += sum(line.get("status") == "OK" for line in deployment.exports()[before:])
            deployment.store = disk.path / "store"
            deployment.start_collector()
            client.wait()
        deployment.settle()
        comparison = compare(deployment, runs)
        print(f"{CUTS} cuts, {acknowledged} exports acknowledged shortly before one; {comparison.summary()}")
        comparison.check()
        assert acknowledged
        assert not comparison.lost
