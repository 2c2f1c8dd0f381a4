"""Plays the example's profiles in one process, without a server: ``python -m tests.impact.playing``.

Reads a line for each copy of the example, a JSON object with the folder that has its package, and writes one with what
each profile was answered. The copy is loaded in a child, which a mutant may hang or break. Where `record` is true, what
each profile executes is told, too.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import rq
from rq.exceptions import NoSuchJobError
from rq.job import Job

from otel_coverage.playback import templates
from otel_coverage.playback.captures import CaptureError
from otel_coverage.playback.loader import load_all
from otel_coverage.playback.profile import NO_BODY, Profile, Step
from otel_coverage.recording import CurrentRecording, Executed, open_engine
from otel_coverage.source import SourceTree

SECONDS = 10  # of processor time that a mutant may take: an endless loop ends


class QueuedJob:
    """A job of :class:`Jobs`."""

    def __init__(self, number: int, name: str, arguments: tuple[Any, ...]) -> None:
        self.id = f"job-{number}"
        self.name, self.arguments = name, arguments
        self.status = "queued"

    def get_status(self) -> str:
        return self.status

    def perform(self) -> None:
        module, _, function = self.name.rpartition(".")
        try:
            getattr(importlib.import_module(module), function)(*self.arguments)
            self.status = "finished"
        except Exception as error:
            self.status = "failed"
            print(f"{self.name}: {error!r}", file=sys.stderr)


class Jobs:
    """Stands for RQ's queue: a profile's jobs run when the response has been sent, in their order."""

    queued: list[QueuedJob] = []  # noqa: RUF012 - of all, as Redis has them
    waiting: list[QueuedJob] = []  # noqa: RUF012

    def __init__(self, name: str, connection: object) -> None:
        self.connection = connection

    def enqueue(self, name: str, *arguments: Any, depends_on: object = None) -> QueuedJob:
        job = QueuedJob(len(self.queued) + 1, name, arguments)
        self.queued.append(job)
        self.waiting.append(job)
        return job

    @classmethod
    def fetch(cls, job_id: str, connection: object) -> QueuedJob:
        for job in cls.queued:
            if job.id == job_id:
                return job
        raise NoSuchJobError(job_id)

    @classmethod
    def perform(cls) -> None:
        while cls.waiting:
            cls.waiting.pop(0).perform()


def play(client: Any, profile: Profile) -> list[Any]:
    """What a profile is answered, with the states of its jobs."""
    values: dict[str, Any] = {"run": profile.slug}
    answers: list[Any] = []
    Jobs.queued.clear()  # a profile's jobs are numbered whatever others do
    for step in profile.steps:
        known = len(Jobs.queued)
        try:
            path = templates.fill_path(step.path, values)
        except KeyError:  # an answer before lacked it
            answers.append("lacks a value")
            break
        try:
            response = client.open(path, method=step.method, headers=dict(step.headers), **_body(step, values))
            answers.append([response.status_code, sorted(map(list, response.headers)), response.get_data(as_text=True)])
            response.close()
        except Exception as error:  # in a body that is streamed
            return [*answers, repr(error)]
        Jobs.perform()
        answers.append([[job.name, job.status] for job in Jobs.queued[known:]])
        answer = httpx.Response(response.status_code, headers=list(response.headers), content=response.get_data())
        for name, capture in step.captures.items():
            try:
                values[name] = capture.value(answer, answer)
            except CaptureError as error:
                return [*answers, str(error)]
    return answers


def _body(step: Step, values: dict[str, Any]) -> dict[str, Any]:
    if step.json is not NO_BODY:
        return {"json": templates.fill(step.json, values)}
    if step.uploads:
        files = ((upload.field, upload.path) for upload in step.uploads)
        return {"data": {field: (path.open("rb"), path.name) for field, path in files if path is not None}}
    return {"data": templates.fill(step.form, values)} if step.form else {}


def play_all(folder: str, profiles: list[Profile], *, record: bool) -> dict[str, Any]:
    """What each profile is answered and, where wanted, what it executes; `` start`` is what runs before."""
    sys.path.insert(0, folder)
    current: ContextVar[Any] = ContextVar("current", default=None)
    tree = SourceTree([str(Path(folder, "shop"))])
    engine = open_engine("auto", "line", tree, CurrentRecording(current)) if record else None
    executed: dict[str, Executed] = {}

    def recorded(name: str, do: Callable[[], Any]) -> Any:
        if engine is None:
            return do()
        recording = engine.begin()
        token = current.set(recording)
        try:
            return do()
        finally:
            current.reset(token)
            engine.end(recording)
            executed[name] = recording.executed()

    with tempfile.TemporaryDirectory(prefix="shop-") as data:
        os.environ["SHOP_DATABASE"] = str(Path(data, "shop.sqlite3"))
        app = recorded(" start", lambda: importlib.import_module("shop.app").create_app())
        recorded(" jobs", lambda: importlib.import_module("shop.jobs"))
        app.logger.disabled = True
        client = app.test_client()
        answers = {each.slug: recorded(each.slug, partial(play, client, each)) for each in profiles}
    found: dict[str, Any] = {"answers": answers}
    if record:
        found["functions"] = {name: sorted(each.id for each in ran.functions) for name, ran in executed.items()}
        found["lines"] = {
            name: [f"{path}:{','.join(map(str, sorted(lines)))}" for path, lines in sorted(ran.lines.items())]
            for name, ran in executed.items()
        }
    return found


def in_child(do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a child answers, or whether it failed or was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as out:
                json.dump(do(), out)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"killed": os.WTERMSIG(status)}
    return {"failed": True} if status else json.loads(text)


def main() -> None:
    setattr(rq, "Queue", Jobs)  # noqa: B010 - types say that it is another class
    setattr(Job, "fetch", Jobs.fetch)  # noqa: B010
    profiles, _ = load_all([Path(path) for path in sys.argv[1:]])
    for line in sys.stdin:
        wanted = json.loads(line)
        do = partial(play_all, wanted["folder"], profiles, record=wanted["record"])
        print(json.dumps(in_child(do)), flush=True)


if __name__ == "__main__":
    main()
