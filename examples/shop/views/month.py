"""The end of the month."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g

from shop import database, queueing
from shop.figures import Figures

pages = Blueprint("month", __name__)


@pages.post("/runs/<run>/month/close")
def close() -> tuple[dict[str, Any], int]:
    """Enqueue the calculation of the figures."""
    return {"job_id": queueing.later("close_month", g.run).id}, 202


@pages.get("/runs/<run>/month")
def show() -> dict[str, Any]:
    """The figures so far."""
    return {"figures": Figures(database.of_request(), g.run).all()}
