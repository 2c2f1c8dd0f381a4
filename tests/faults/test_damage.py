"""What is damaged on the disk, or does not arrive though it was acknowledged, or arrives twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.comparison import compare
from tests.faults.deployment import Deployment


def _requests(run: str, count: int, *, jobs: bool = True) -> list[dict[str, Any]]:
    requests = []
    for number in range(count):
        parts = "-".join(str((number + each) % 24) for each in range(6))
        method, action = ("POST", "enqueue") if jobs and number % 10 == 9 else ("GET", "take")
        requests.append(
            {"method": method, "path": f"/{action}/{parts}/{run}-{number}", "profile": f"profile-{number % 5}"}
        )
    return requests


def _parts(deployment: Deployment, table: str) -> list[Path]:
    """The folders of the parts of a table."""
    rows = deployment.query(
        "SELECT path FROM system.parts WHERE active AND table = {table:String} AND database = currentDatabase()",
        {"table": table},
    ).rows
    return [Path(path) for (path,) in rows]


def _truncate_column(part: Path) -> None:
    file = max(part.glob("*.bin"), key=lambda file: file.stat().st_size)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def _remove_columns(part: Path) -> None:
    (part / "columns.txt").unlink()


def _flip(part: Path) -> None:
    file = max(part.glob("*.bin"), key=lambda file: file.stat().st_size)
    data = bytearray(file.read_bytes())
    for place in random.Random(1).sample(range(len(data)), min(8, len(data))):
        data[place] ^= 0xFF
    file.write_bytes(data)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("table", "damage"),
    [
        ("otel_traces", _truncate_column),
        ("coverage_spans", _remove_columns),
        ("coverage_functions", _truncate_column),
        ("coverage_functions", _remove_columns),
        ("coverage_functions", _flip),
    ],
)
def test_parts_that_are_damaged_are_repaired_or_marked(
    folder: Path, table: str, damage: Callable[[Path], None]
) -> None:
    with Deployment(folder) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4", worker=False)
        deployment.send("damaged", _requests("damaged", 60, jobs=False), pause=0.02).wait()
        deployment.settle()
        parts = _parts(deployment, table)
        assert parts
        deployment.kill_collector()
        for part in parts[:2]:
            damage(part)
        deployment.start_collector()
        verified = deployment.command("verify", "--run", "damaged", "--store", deployment.dsn)
        print(f"{table}: verify exits with {verified.returncode}: {verified.stdout[-300:]} {verified.stderr[-500:]}")
        if verified.returncode == 0:  # then nothing is missing, whatever was repaired meanwhile
            comparison = compare(deployment, ["damaged"])
            print(comparison.summary())
            comparison.check()
        else:
            assert "part" in verified.stdout + verified.stderr


@pytest.mark.timeout(600)
def test_what_a_collector_acknowledged_and_lost_is_marked(folder: Path) -> None:
    with Deployment(folder) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        deployment.send("first", _requests("lost-first", 20)).wait()
        deployment.relay("lose 3")
        deployment.send("lost", _requests("lost", 40), pause=0.05).wait()
        deployment.relay("forward")
        deployment.send("lost", _requests("lost-later", 40)).wait()
        deployment.settle()
        comparison = compare(deployment, ["first", "lost"])
        print(comparison.summary())
        assert comparison.lost
        comparison.check()


@pytest.mark.timeout(600)
def test_parts_of_requests_that_are_lost_are_marked(folder: Path) -> None:
    with Deployment(folder) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4", worker=False)
        deployment.relay("lose-parts")
        requests = [
            {
                "method": "GET",
                "path": f"/stream/{number % 12}-{number % 12 + 8}/part-{number}",
                "profile": f"p-{number}",
            }
            for number in range(10)
        ]
        deployment.send("parts", requests).wait()
        deployment.settle()
        comparison = compare(deployment, ["parts"])
        print(comparison.summary())
        assert comparison.lost, "no request had a part"
        comparison.check()


@pytest.mark.timeout(600)
def test_spans_that_arrive_twice_are_counted_once(folder: Path) -> None:
    with Deployment(folder) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        deployment.relay("twice")
        deployment.send("twice", _requests("twice", 60), pause=0.02).wait()
        deployment.settle()
        comparison = compare(deployment, ["twice"])
        print(comparison.summary())
        comparison.check()
        assert not comparison.lost
        assert not comparison.marked
