"""The application factory."""

from __future__ import annotations

import click
from flask import Flask

from shop import database, errors, hooks
from shop.settings import Settings
from shop.views import catalogue, front, month, orders, stock


def create_app(settings: Settings | None = None) -> Flask:
    """The shop as a WSGI application."""
    app = Flask("shop")
    app.config["SHOP"] = settings or Settings.from_environment()
    database.create_schema(app.config["SHOP"].database)
    hooks.install(app)
    app.register_error_handler(errors.ShopError, errors.refuse)
    app.register_error_handler(500, errors.apologise)
    for views in (front, catalogue, orders, stock, month):
        app.register_blueprint(views.pages)
    app.cli.command("runs")(list_runs)
    return app


def list_runs() -> None:
    """Print all runs: ``flask --app shop.app runs``."""
    for row in database.of_request().execute("SELECT run FROM runs ORDER BY run"):
        click.echo(row["run"])
