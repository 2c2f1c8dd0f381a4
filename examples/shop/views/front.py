"""Runs and job statuses."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g
from rq.exceptions import NoSuchJobError
from rq.job import JobStatus

from shop import database, queueing
from shop.errors import NotFoundError
from shop.products import Catalogue
from shop.service import Service

pages = Blueprint("front", __name__)


@pages.get("/health")
def health() -> dict[str, Any]:
    """The health check of the load balancer."""
    return {"status": "up"}


@pages.post("/runs/<run>")
def open_run() -> tuple[dict[str, Any], int]:
    """Create a run, with the starting stock."""
    connection = database.of_request()
    with connection:
        connection.execute("INSERT INTO runs (run) VALUES (?)", (g.run,))
        Catalogue(connection, g.run).stock_up()
    return {"run": g.run}, 201


@pages.get("/runs/<run>/history")
def history() -> dict[str, Any]:
    """The audit log of a run."""
    return {"actions": Service(database.of_request(), g.run).history()}


@pages.get("/jobs/<job_id>")
def job(job_id: str) -> dict[str, Any]:
    """The status of a job."""
    try:
        found = queueing.find(job_id)
    except NoSuchJobError:
        raise NotFoundError(f"no job {job_id!r}") from None
    return {"job_id": job_id, "status": JobStatus(found.get_status()).value}


@pages.delete("/jobs/<job_id>")
def forget_job(job_id: str) -> tuple[str, int]:
    """Delete a job."""
    queueing.forget(job_id)
    return "", 204
