"""SQLite: a connection for each request or job, closed with the request's context."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import cast

from flask import current_app, g

from shop.settings import Settings

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS products (
    run TEXT NOT NULL, sku TEXT NOT NULL, name TEXT NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL,
    PRIMARY KEY (run, sku)
);
CREATE TABLE IF NOT EXISTS orders (
    run TEXT NOT NULL, number INTEGER NOT NULL, status TEXT NOT NULL, voucher TEXT, PRIMARY KEY (run, number)
);
CREATE TABLE IF NOT EXISTS items (
    run TEXT NOT NULL, number INTEGER NOT NULL, sku TEXT NOT NULL, price INTEGER NOT NULL, quantity INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS letters (run TEXT NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS figures (run TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS audit (run TEXT NOT NULL, action TEXT NOT NULL);
"""


def connect(path: str) -> sqlite3.Connection:
    """Open the database; rows can be read by name."""
    connection = sqlite3.connect(path, timeout=30)
    connection.row_factory = sqlite3.Row
    return connection


def create_schema(path: str) -> None:
    """Create the tables; called at the start of the application."""
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA)


def of_request() -> sqlite3.Connection:
    """The connection of the current request."""
    if "connection" not in g:
        g.connection = connect(current_app.config["SHOP"].database)
    return cast("sqlite3.Connection", g.connection)


def close(error: BaseException | None = None) -> None:
    """Close the request's connection, if there is one; uncommitted changes are lost."""
    connection = g.pop("connection", None)
    if connection is not None:
        connection.close()


@contextmanager
def of_job() -> Iterator[sqlite3.Connection]:
    """A connection for a job; committed if the job succeeds."""
    with closing(connect(Settings.from_environment().database)) as connection, connection:
        yield connection
