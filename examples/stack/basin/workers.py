"""The class of workers: ``rq worker-pool -n 6 --worker-class basin.workers.BasinWorker basin``."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from rq import Worker
from rq.job import Job

from basin import runs


class BasinWorker(Worker):
    """Notes who performs a job, cancels jobs by SIGUSR1, and looks after each work horse."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        signal.signal(signal.SIGUSR1, self.cancel)

    def cancel(self, number: int, frame: FrameType | None) -> None:
        """Cancel the job of this work horse."""
        raise RuntimeError("the job was cancelled")

    def fork_work_horse(self, *arguments: Any) -> None:
        """In the worker: before each job."""
        self.begin_watch()
        super().fork_work_horse(*arguments)

    def monitor_work_horse(self, *arguments: Any) -> None:
        """In the worker: until the job is done."""
        try:
            super().monitor_work_horse(*arguments)
        finally:
            self.end_watch()

    def kill_horse(self, *arguments: Any, **options: Any) -> None:
        """In the worker: a job is stopped, or takes too long."""
        self.begin_watch()
        super().kill_horse(*arguments, **options)

    def begin_watch(self) -> None:
        """A job begins."""

    def end_watch(self) -> None:
        """A job is done."""

    def perform_job(self, job: Job, *arguments: Any) -> bool:
        """In the work horse: the job."""
        self.describe(job)
        try:
            return super().perform_job(job, *arguments)
        finally:
            runs.put(job.meta["run"], "performed", job.id)

    def describe(self, job: Job) -> None:
        """Note who performs a job."""
        job.meta["pid"] = os.getpid()
        job.save()

    def handle_job_success(self, *arguments: Any, **options: Any) -> None:
        """In the work horse."""
        super().handle_job_success(*arguments, **options)
        self.tell("finished")

    def handle_job_failure(self, *arguments: Any, **options: Any) -> None:
        """In the work horse; in the worker where the work horse was killed."""
        super().handle_job_failure(*arguments, **options)
        self.tell("failed")

    def tell(self, state: str) -> None:
        """Tell whoever listens."""
        self.log.info("the job has %s", state)
