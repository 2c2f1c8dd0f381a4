"""Orders, payments and refunds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from flask import Blueprint, Response, current_app, g, request

from shop import database, queueing
from shop.orders import Item, OrderBook
from shop.products import Catalogue

pages = Blueprint("orders", __name__)


def _book() -> OrderBook:
    return OrderBook(database.of_request(), g.run)


@pages.post("/runs/<run>/orders")
def order() -> tuple[dict[str, Any], int]:
    """Create an order."""
    wanted = request.get_json()
    book, catalogue = _book(), Catalogue(database.of_request(), g.run)
    items = [Item(sku, catalogue.find(sku).price, quantity) for sku, quantity in wanted["items"].items()]
    with book.connection:
        written = book.write(items, wanted.get("voucher"))
    return written.as_json(), 201


@pages.get("/runs/<run>/orders/<int:number>")
def show(number: int) -> dict[str, Any]:
    """One order."""
    return _book().find(number).as_json()


@pages.post("/runs/<run>/orders/<int:number>/pay")
def pay(number: int) -> tuple[dict[str, Any], int]:
    """Pay an order; a job packs it."""
    book = _book()
    with book.connection:
        book.move(book.find(number), "paid")
    return {"job_id": queueing.later("fulfil", g.run, number).id}, 202


@pages.post("/runs/<run>/orders/<int:number>/refund")
def refund(number: int) -> tuple[dict[str, Any], int]:
    """Request a refund; a job makes it, if the order's state allows it."""
    _book().find(number).status = "refunded"
    return {"job_id": queueing.later("refund", g.run, number).id}, 202


@pages.post("/runs/<run>/orders/<int:number>/cancel")
def cancel(number: int) -> dict[str, Any]:
    """Cancel an order."""
    book = _book()
    with book.connection:
        return book.cancel(number).as_json()


@pages.get("/runs/<run>/orders.csv")
def export() -> Response:
    """All orders as CSV, streamed."""
    path, run = current_app.config["SHOP"].database, g.run

    def lines() -> Iterator[str]:
        with closing(database.connect(path)) as connection:  # the request's own is closed before this is sent
            yield "number,status,total\r\n"
            for each in OrderBook(connection, run).each():
                yield _line(each.number, each.status, each.total())

    return Response(lines(), mimetype="text/csv")


def _line(*fields: object) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(fields)
    return out.getvalue()
