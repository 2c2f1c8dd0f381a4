"""Processes that are killed at random moments: the collector, a web worker, a work horse."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.comparison import compare, works_of
from tests.faults.deployment import Deployment, wait_until

DRAWS = 8  # times that a seed is drawn again before the test gives up


def _paths(rng: random.Random, name: str, count: int, *, jobs: bool) -> list[tuple[str, str]]:
    """Method and path of requests, which take 0 to 20 ms; one in three enqueues a job."""
    steps = []
    for number in range(count):
        parts = "-".join(map(str, sorted(rng.sample(range(24), 6))))
        method, action = ("POST", "enqueue") if jobs and number % 3 == 0 else ("GET", "take")
        pause = rng.choice(["0", "0.001", "0.003"] if action == "take" else ["0.003", "0.01"])
        steps.append((method, f"/{action}/{parts}/{name}-{number}?pause={pause}"))
    return steps


class Seeds:
    """Plays a run for each seed, kills something in it, and draws again where nothing was in flight."""

    def __init__(self, deployment: Deployment, count: int, *, jobs: bool) -> None:
        self.deployment = deployment
        self.count = count
        self.jobs = jobs
        self.runs: list[str] = []
        self.drawn = 0

    def play(self, strike: Callable[[random.Random, str], bool]) -> None:
        """Play all seeds, one with our client, the next with one that sends headers alone.

        Args:
            strike: given the seed's generator and its run, waits for a moment and kills; whether it hit something.
        """
        for seed in range(self.count):
            for draw in range(DRAWS):
                self.drawn += 1
                run = f"seed-{seed}-{draw}"
                self.runs.append(run)
                rng = random.Random(run)
                client = self._start(rng, run, is_ours=seed % 2 == 0)
                try:
                    hit = strike(rng, run)
                finally:
                    client.wait(60)
                if hit:
                    break
            else:
                raise AssertionError(f"seed {seed} hit nothing in flight, {DRAWS} times")

    def _start(self, rng: random.Random, run: str, *, is_ours: bool) -> subprocess.Popen[bytes]:
        if is_ours:
            profiles = {
                f"profile-{number}": _paths(rng, f"{run}-{number}-${{run}}", 5, jobs=self.jobs) for number in range(3)
            }
            return self.deployment.play(run, profiles)
        requests = [
            {"method": method, "path": path, "profile": f"profile-{number % 3}"}
            for number, (method, path) in enumerate(_paths(rng, run, 15, jobs=self.jobs))
        ]
        return self.deployment.send(run, requests)

    def check(self) -> None:
        """Compare all runs at once."""
        self.deployment.settle()
        comparison = compare(self.deployment, self.runs)
        print(f"{self.count} seeds, {self.drawn} drawn; {comparison.summary()}")
        comparison.check(is_killed=True)


def _sent(deployment: Deployment, run: str) -> int:
    return sum(line["event"] == "sent" and line["run"] == run for line in deployment.requests())


def _begun(deployment: Deployment, run: str) -> set[str]:
    return {work.id for work in works_of(deployment) if work.run == run and work.outcome in ("begun", "done")}


def _wait_for_sent(deployment: Deployment, rng: random.Random, run: str) -> None:
    """Wait until some requests of the run were sent, and a moment more."""
    count = rng.randint(2, 12)
    wait_until(lambda: _sent(deployment, run) >= count)
    time.sleep(rng.uniform(0, 0.02))


@pytest.mark.timeout(600)
def test_what_a_killed_web_worker_was_doing_is_there_or_marked(folder: Path, seeds: int) -> None:
    with Deployment(folder) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4", worker=False)

        def strike(rng: random.Random, run: str) -> bool:
            wait_until(deployment.web_workers)
            _wait_for_sent(deployment, rng, run)
            open_requests = {
                work.id for work in works_of(deployment) if work.run == run and work.outcome == "failed"
            }  # begun, and no outcome yet
            for pid in deployment.web_workers():
                os.kill(pid, signal.SIGKILL)
            return bool(open_requests)

        runs = Seeds(deployment, seeds, jobs=False)
        runs.play(strike)
        runs.check()


@pytest.mark.timeout(600)
def test_what_a_killed_work_horse_was_doing_is_there_or_marked(folder: Path, seeds: int) -> None:
    with Deployment(folder) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")

        def strike(rng: random.Random, run: str) -> bool:
            number = rng.randint(1, 3)
            wait_until(lambda: len(_begun(deployment, run)) >= number)
            time.sleep(rng.uniform(0, 0.1))
            horses = deployment.work_horses()
            for pid in horses:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not set(horses) & set(deployment.work_horses()))
            # one that was done had not sent its spans yet, or it would not have been there
            return any(line["pid"] in horses for line in deployment.jobs())

        runs = Seeds(deployment, seeds, jobs=True)
        runs.play(strike)
        runs.check()


@pytest.mark.timeout(600)
def test_a_killed_collector_loses_nothing(folder: Path, seeds: int) -> None:
    with Deployment(folder, {"OTEL_BSP_SCHEDULE_DELAY": "20"}) as deployment:
        deployment.start_collector()
        deployment.start_application("--threads", "4")

        def strike(rng: random.Random, run: str) -> bool:
            before = len(deployment.exports())
            number = rng.randint(1, 4)
            wait_until(lambda: len(deployment.exports()) >= before + number)
            time.sleep(rng.uniform(0, 0.1))
            at = time.time()
            deployment.kill_collector()
            lines = deployment.exports()
            # it was answered when it was in the log, and is inserted later
            answered = {line["number"] for line in lines if line["event"] == "answered" and line["at"] < at - 0.5}
            hit = any(line["at"] < at and line["number"] not in answered for line in lines)
            deployment.start_collector()
            return hit

        runs = Seeds(deployment, seeds, jobs=True)
        runs.play(strike)
        runs.check()
