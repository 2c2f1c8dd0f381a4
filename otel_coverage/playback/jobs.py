"""Waiting for the jobs that a playback has set off."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from urllib.parse import quote

import httpx

GOOD = frozenset({"finished"})
BAD = frozenset({"failed", "stopped", "canceled", "cancelled"})

PATH = "/jobs/{job_id}"
TIMEOUT = 300.0

_SHORTEST, _LONGEST = 0.05, 1.0  # seconds between two questions


class JobError(Exception):
    """A job failed, or nobody can tell."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where an application tells how far a job is.

    Attributes:
        path: below the base address, with ``{job_id}`` where the id goes; empty to wait for no job at all.
        timeout: seconds that a job may take.
    """

    path: str = PATH
    timeout: float = TIMEOUT

    def wait(self, client: httpx.Client, base_url: str, job_id: str, stopped: threading.Event) -> None:
        """Ask until the job is done.

        Nothing of the trace goes along: asking is the player's doing, not the workflow's.

        Raises:
            JobError: it failed or took too long, the address tells no status, or the playback was stopped.
        """
        url = base_url + self.path.replace("{job_id}", quote(job_id, safe=""))
        deadline, pause = time.monotonic() + self.timeout, _SHORTEST
        while True:
            status = _status(client, url, job_id)
            if status in GOOD:
                return
            if status in BAD:
                raise JobError(f"job {job_id} {status}")
            if time.monotonic() + pause > deadline:
                raise JobError(f"job {job_id} is still {status} after {self.timeout:g} s; --job-timeout allows more")
            if stopped.wait(pause):
                raise JobError(f"interrupted while job {job_id} was {status}")
            pause = min(pause * 1.5, _LONGEST)


def job_id_of(response: httpx.Response) -> str | None:
    """The id of the job that an answer speaks of."""
    if "json" not in response.headers.get("content-type", ""):
        return None
    try:
        answer = response.json()
    except ValueError:
        return None
    found = (answer.get("job_id") or answer.get("jobId")) if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found else None


def _status(client: httpx.Client, url: str, job_id: str) -> str:
    answer = client.get(url)
    try:
        status = answer.json()["status"] if answer.is_success else None
    except (ValueError, KeyError, TypeError):
        status = None
    if not isinstance(status, str):
        raise JobError(
            f"job {job_id}: {url} answered {answer.status_code} and no status; --job-status names the right address"
        )
    return status.lower()
