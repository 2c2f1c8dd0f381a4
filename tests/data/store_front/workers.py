"""Classes of workers with code of their own around each method of RQ's, as applications have them."""

import ctypes
import logging
import os
import random
import signal
from pathlib import Path

import rq
from opentelemetry import trace

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
REMAINED = Path(os.environ.get("REMAINED", os.devnull))


class Supervisor(rq.Worker):
    """Looks after each job, and adopts what it leaves behind."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        signal.signal(signal.SIGUSR1, self.cancel)

    def cancel(self, number, frame):
        raise RuntimeError("cancelled")

    def execute_job(self, *arguments):
        supervise()
        super().execute_job(*arguments)
        supervise()

    def fork_work_horse(self, job, queue):
        adopt_orphans()
        super().fork_work_horse(job, queue)
        supervise()

    def monitor_work_horse(self, *arguments):
        try:
            super().monitor_work_horse(*arguments)
        finally:
            look_for_leftovers(arguments[0])

    def kill_horse(self, *arguments):
        supervise()
        super().kill_horse(*arguments)

    def main_work_horse(self, *arguments):
        settle_in()
        super().main_work_horse(*arguments)

    def perform_job(self, job, *arguments):
        enter(job)
        try:
            return super().perform_job(job, *arguments)
        finally:
            leave()

    def handle_job_success(self, *arguments, **options):
        super().handle_job_success(*arguments, **options)
        tell("succeeded")

    def handle_job_failure(self, *arguments, **options):
        super().handle_job_failure(*arguments, **options)
        tell("failed")

    def handle_exception(self, job, *error):
        super().handle_exception(job, *error)
        job.meta["why"] = str(error[1])
        job.save_meta()


class WithoutSuper(rq.Worker):
    """Does all by itself, as old applications do."""

    def fork_work_horse(self, job, queue):
        supervise()
        self._horse_pid = os.fork()
        if self._horse_pid == 0:
            os.setpgrp()
            self.main_work_horse(job, queue)
            os._exit(0)

    def main_work_horse(self, job, queue):
        settle_in()
        random.seed()
        self.setup_work_horse_signals()
        self._is_horse = True
        self.log = logging.getLogger("rq.worker")
        code = 1
        try:
            self.perform_job(job, queue)
            code = 0
        finally:
            leave()
            os._exit(code)

    def setup_work_horse_signals(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def perform_job(self, job, queue, *execution):
        enter(job)
        job.perform()
        return True


class Signals(rq.Worker):
    """Says in the work horse alone what is its own."""

    def setup_work_horse_signals(self):
        super().setup_work_horse_signals()
        settle_in()


class Simple(rq.SimpleWorker):
    """Performs jobs in its own process."""

    def execute_job(self, *arguments):
        supervise()
        super().execute_job(*arguments)

    def perform_job(self, job, *arguments):
        enter(job)
        try:
            return super().perform_job(job, *arguments)
        finally:
            leave()


class Derived(Simple):
    """Two classes of the application's, one of the other."""

    def perform_job(self, *arguments):
        settle_in()
        return super().perform_job(*arguments)


class Heroku(rq.worker.HerokuWorker):
    """Stops a job when it is shut down."""

    imminent_shutdown_delay = 0

    def perform_job(self, job, *arguments):
        enter(job)
        try:
            return super().perform_job(job, *arguments)
        finally:
            leave()

    def kill_horse(self, *arguments, **options):
        supervise()
        super().kill_horse(*arguments, **options)


class Broken(rq.Worker):
    """Fails after each job."""

    def perform_job(self, *arguments):
        super().perform_job(*arguments)
        fail_late()


if hasattr(rq, "SpawnWorker"):

    class Spawn(rq.SpawnWorker):
        """Starts an interpreter for each job."""

        def fork_work_horse(self, *arguments):
            supervise()
            super().fork_work_horse(*arguments)

        def perform_job(self, job, *arguments):
            enter(job)
            return super().perform_job(job, *arguments)


def supervise():
    pass


def adopt_orphans():
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def look_for_leftovers(job):
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    if children:
        with REMAINED.open("a") as remained:
            remained.write(" ".join(Path("/proc", pid, "cmdline").read_text() for pid in children) + "\n")


def settle_in():
    pass


def enter(job):
    job.meta["pid"] = os.getpid()
    job.save()
    with trace.get_tracer("store_front").start_as_current_span("entered"):
        pass


def leave():
    pass


def tell(what):
    pass


def fail_late():
    raise ValueError("after the job")


def note_failure(job, *error):
    return True
