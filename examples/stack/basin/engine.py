"""The service: takes jobs, and answers who polls for them. ``uvicorn basin.engine:app``."""

from __future__ import annotations

from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from starlette.concurrency import run_in_threadpool

from basin import queueing, runs

app = FastAPI()


async def known_run(run: str) -> str:
    """A run that there is."""
    if not await run_in_threadpool(runs.results, run):
        raise HTTPException(404, f"run {run}: there is none")
    return run


Run = Annotated[str, Depends(known_run)]


@app.get("/health")
async def health() -> str:
    """Whether it serves."""
    return "ok"


@app.post("/runs/{run}/delineate/{cells}")
async def delineate(run: Run, cells: int) -> str:
    """Find the hillslopes."""
    return await submit(run, "delineate", run, cells)


@app.post("/runs/{run}/weather/{source}")
def weather(run: Run, source: str) -> str:
    """Fetch or make up the weather, from a thread of the pool."""
    return queueing.later(run, "weather", run, source)


@app.post("/runs/{run}/burn/{severity}")
async def burn(run: Run, severity: int, background: BackgroundTasks) -> str:
    """Have a fire burn the catchment, and note it after the response."""
    background.add_task(note, run, "burned")
    return await submit(run, "burn", run, severity)


@app.post("/runs/{run}/runoff")
async def run_off(run: Run) -> str:
    """Work out the runoff."""
    return await submit(run, "run_off", run)


@app.post("/runs/{run}/archive")
async def archive(run: Run) -> str:
    """Write the archive."""
    return await submit(run, "archive", run)


@app.get("/jobs/{job_id}")
async def job(job_id: str) -> str:
    """The state of a job."""
    return await run_in_threadpool(queueing.state, job_id)


async def submit(run: str, function: str, *arguments: object) -> str:
    """Enqueue a job from a thread, since a client of Redis waits."""
    return await run_in_threadpool(queueing.later, run, function, *arguments)


def note(run: str, what: str) -> None:
    """Add to the notes of a run."""
    runs.put(run, "note", what)
