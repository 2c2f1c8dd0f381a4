"""Stock lists from suppliers."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from shop import database, queueing, stockfile
from shop.errors import InvalidError
from shop.products import Catalogue

pages = Blueprint("stock", __name__)


@pages.post("/runs/<run>/stock/upload_stocklist")
def upload() -> tuple[dict[str, Any], int]:
    """Upload a stock list; a job imports it."""
    sent = request.files.get("input_upload_stocklist")
    if sent is None:
        raise InvalidError("no file input_upload_stocklist in the form")
    text = sent.read().decode("utf-8")
    stockfile.check(text)
    return {"job_id": queueing.later("import_stock", g.run, text).id}, 202


@pages.get("/runs/<run>/stock.csv")
def download() -> Response:
    """Download the stock list."""
    return Response(stockfile.write(Catalogue(database.of_request(), g.run).all()), mimetype="text/csv")
