"""Collectors that are away for a while, in the middle of a run or at one of its ends, and collectors that misbehave."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.comparison import compare
from tests.faults.deployment import Deployment, wait_until

OUTAGES = {5: 0.3, 25: 0.0, 60: 0.3}  # seconds, and after which share of its run's time each begins
REQUESTS = 120
PARTS = 6
SLOWEST = 5.0  # seconds that a request may take beyond its own time, on a machine that does much else
PATIENT = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60"}  # seconds: a request that waited for an export took far longer


def _numbers(number: int) -> str:
    return "-".join(str((number + each) % 24) for each in range(PARTS))


def _path(number: int, name: str, pause: float) -> tuple[str, str]:
    """Every tenth request enqueues a job."""
    method, action = ("POST", "enqueue") if number % 10 == 9 else ("GET", "take")
    return method, f"/{action}/{_numbers(number)}/{name}-{number}?pause={pause:.4f}"


def _start_client(
    deployment: Deployment, run: str, client: str, profiles: int, seconds: float
) -> subprocess.Popen[bytes]:
    """A client that sends all requests in about so many seconds, one after the other."""
    pause = seconds / REQUESTS / PARTS
    each = REQUESTS // profiles
    if client == "ours":
        plan = {
            f"profile-{profile}": [_path(profile * each + step, "${run}", pause) for step in range(each)]
            for profile in range(profiles)
        }
        return deployment.play(run, plan, concurrency=1)
    requests = []
    for number in range(REQUESTS):
        method, path = _path(number, run, pause)
        requests.append({"method": method, "path": path, "profile": f"profile-{number // each}"})
    return deployment.send(run, requests, threads=1)


def _durations(deployment: Deployment) -> list[float]:
    sent, durations = {}, []
    for line in deployment.requests():
        if line["event"] == "sent":
            sent[line["id"]] = line["at"]
        else:
            durations.append(line["at"] - sent[line["id"]])
    return durations


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("client", "profiles"),
    [("ours", 40), ("header", 40), ("ours", 1), ("header", 1)],
    ids=["ours-40-short-profiles", "headers-40-short-profiles", "ours-a-long-profile", "headers-a-long-profile"],
)
def test_an_outage_loses_nothing(folder: Path, scale: float, client: str, profiles: int) -> None:
    with Deployment(folder, PATIENT) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        for seconds, begins in OUTAGES.items():
            outage = seconds * scale
            playing = outage * 1.5 + 2
            if begins == 0:
                deployment.relay("down")
            before = len(deployment.requests())
            process = _start_client(deployment, f"outage-{seconds}", client, profiles, playing)
            wait_until(lambda before=before: len(deployment.requests()) > before)  # type: ignore[misc]
            time.sleep(playing * begins)
            deployment.relay("down")
            before = len(deployment.requests())
            time.sleep(outage)
            during = len(deployment.requests()) - before
            assert during > 4, f"no request was sent during the outage of {outage:g} s"
            deployment.relay("up")
            process.wait(120)
            print(f"outage of {outage:g} s, {during // 2} requests in it")
        deployment.settle()
        comparison = compare(deployment, [f"outage-{seconds}" for seconds in OUTAGES])
        slowest = max(_durations(deployment))
        print(f"slowest {slowest:.2f} s; {comparison.summary()}")
        comparison.check()
        assert not comparison.lost
        assert not comparison.marked
        assert slowest < playing / REQUESTS + SLOWEST


@pytest.mark.timeout(600)
def test_a_collector_that_is_stopped_and_started_again_loses_nothing(folder: Path, scale: float) -> None:
    outage = 30 * scale
    with Deployment(folder, PATIENT) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        process = _start_client(deployment, "restart", "ours", 10, outage * 1.5 + 2)
        wait_until(lambda: len(deployment.requests()) > REQUESTS // 3)
        assert deployment.stop_collector() == 0
        before = len(deployment.requests())
        time.sleep(outage)
        assert len(deployment.requests()) > before + 4
        deployment.start_collector()
        process.wait(120)
        deployment.settle()
        comparison = compare(deployment, ["restart"])
        print(comparison.summary())
        comparison.check()
        assert not comparison.lost
        assert not comparison.marked


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "behaviour",
    [
        "slow 2",
        "late 3",
        "silent",
        "refuse UNAVAILABLE",
        "refuse RESOURCE_EXHAUSTED",
        "refuse PERMISSION_DENIED",
        "forget 3",
    ],
)
def test_nobody_waits_for_a_collector_that_misbehaves(folder: Path, behaviour: str) -> None:
    with Deployment(folder, PATIENT) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")
        deployment.relay(behaviour)
        process = _start_client(deployment, "misbehaving", "header", 10, 3)
        process.wait(120)
        wait_until(lambda: sum(line["event"] == "done" for line in deployment.jobs()) == REQUESTS // 10)
        finished = time.time() - min(line["at"] for line in deployment.requests())
        deployment.stop_application()
        deployment.relay("forward")
        deployment.settle()
        comparison = compare(deployment, ["misbehaving"])
        slowest = max(_durations(deployment))
        print(f"{behaviour}: all done after {finished:.1f} s, slowest request {slowest:.2f} s; {comparison.summary()}")
        comparison.check()
        assert slowest < SLOWEST
        assert finished < 30
        if "PERMISSION" not in behaviour:  # such an answer says that sending again is of no use
            assert not comparison.lost
