"""Waits for the jobs that a playback enqueued, through the application's job status resource."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from otel_coverage.errors import ConfigurationError

SUCCEEDED = frozenset({"finished"})
FAILED = frozenset({"failed", "stopped", "canceled", "cancelled"})

PATH = "/jobs/{job_id}"
TIMEOUT = 300.0  # seconds

_MAX_INTERVAL = 1.0  # seconds between two polls


class JobError(Exception):
    """A job failed, or its status is unknown."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The application's job status resource.

    Attributes:
        path: below the base URL, with ``{job_id}`` in it; empty to wait for no job.
        timeout: seconds that a job may take.
        interval: seconds between the first two polls; each later one is longer, up to a second.
    """

    path: str = PATH
    timeout: float = TIMEOUT
    interval: float = 0.05

    def wait(self, client: httpx.Client, base_url: str, job_id: str, stopped: threading.Event) -> None:
        """Poll until the job is finished. The requests carry no trace context: they are not part of the workflow.

        Raises:
            JobError: the job failed or timed out, the response has no status, or ``stopped`` was set.
        """
        url = base_url + self.path.replace("{job_id}", quote(job_id, safe=""))
        deadline, interval = time.monotonic() + self.timeout, self.interval
        while True:
            status = _poll(client, url, job_id)
            if status in SUCCEEDED:
                return
            if status in FAILED:
                raise JobError(f"job {job_id} {status}")
            if time.monotonic() + interval > deadline:
                raise JobError(f"job {job_id} is still {status} after {self.timeout:g} s; see --job-timeout")
            if stopped.wait(interval):
                raise JobError(f"interrupted while job {job_id} was {status}")
            interval = min(interval * 1.5, _MAX_INTERVAL)


def check_path(path: str) -> str:
    """The path of a job status resource, which is empty or has a place for the job's id.

    Raises:
        ConfigurationError: it has none.
    """
    if path and "{job_id}" not in path:
        raise ConfigurationError(f"--job-status {path!r} must contain {{job_id}}")
    return path


def job_id_of(response: httpx.Response) -> str | None:
    """``job_id`` or ``jobId`` of a JSON response; None without one."""
    if "json" not in response.headers.get("content-type", ""):
        return None
    try:
        document = response.json()
    except ValueError:
        return None
    found = (document.get("job_id") or document.get("jobId")) if isinstance(document, dict) else None
    return found if isinstance(found, str) and found else None


def _poll(client: httpx.Client, url: str, job_id: str) -> str:
    response = client.get(url, follow_redirects=True)
    try:
        status = response.json()["status"] if response.is_success else None
    except (ValueError, KeyError, TypeError):
        status = None
    if not isinstance(status, str):
        raise JobError(f"job {job_id}: {url} answered {response.status_code} without a job status; see --job-status")
    return status.lower()
