"""The web application: a login by form, runs and their results. ``gunicorn basin.web:app``."""

from __future__ import annotations

import os
import secrets

from flask import Flask, abort, jsonify, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from basin import runs

app = Flask("basin")
app.secret_key = os.environ.get("BASIN_SECRET", "for trials only")


@app.before_request
def check_csrf() -> None:
    """Refuse forms that this application has not made."""
    if request.method == "POST" and request.form.get("csrf_token") != session.get("csrf_token", ""):
        abort(400, "the CSRF token is missing")


@app.get("/health")
def health() -> ResponseReturnValue:
    """Whether it serves."""
    return "ok"


@app.get("/login")
def login_form() -> ResponseReturnValue:
    """The form."""
    token = session["csrf_token"] = secrets.token_hex()
    return f'<form method="post"><input name="csrf_token" value="{token}"><input name="email"></form>'


@app.post("/login")
def log_in() -> ResponseReturnValue:
    """Log in."""
    session["user"] = request.form["email"]
    return redirect(url_for("home"))


@app.get("/")
def home() -> ResponseReturnValue:
    """Who is logged in, and the token for forms."""
    require_user()
    return jsonify(user=session["user"], csrf_token=session["csrf_token"])


@app.post("/runs/<name>")
def open_run(name: str) -> ResponseReturnValue:
    """Begin a run."""
    require_user()
    return jsonify(run=runs.new(name))


@app.get("/runs/<run>")
def show_run(run: str) -> ResponseReturnValue:
    """The results."""
    require_user()
    return jsonify(runs.results(run))


def require_user() -> None:
    """Refuse who is not logged in."""
    if "user" not in session:
        abort(403, "log in first")
