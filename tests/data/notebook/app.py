"""The pages and the API."""

from __future__ import annotations

import itertools
import os

from flask import Flask, abort, flash, jsonify, redirect, render_template_string, request, url_for
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_wtf import CSRFProtect, FlaskForm
from flask_wtf.file import FileField, FileRequired
from redis import Redis
from rq import Queue
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired

from notebook.jobs import count_words

PAGE = """<!doctype html><title>Notebook</title><meta name="csrf-token" content="{{ csrf_token() }}">
<link rel="stylesheet" href="/static/notebook.css"><script src="/static/notebook.js"></script>
{% for message in get_flashed_messages() %}<p>{{ message }}</p>{% endfor %}
{{ body|safe }}"""
FORM = """<form method="post" enctype="{{ kind }}" action="{{ action }}">{{ form.csrf_token }}
{% for field in form if field.name != "csrf_token" %}<p>{{ field.label }}{{ field }}</p>{% endfor %}
<button id="{{ button }}">Go</button></form>"""

app = Flask(__name__)
app.config.update(
    SECRET_KEY=os.environ.get("NOTEBOOK_KEY", "one for tests"),
    SESSION_COOKIE_SECURE=True,
    REMEMBER_COOKIE_SECURE=True,
)
CSRFProtect(app)
logins = LoginManager(app)
logins.login_view = "log_in"
queue = Queue(connection=Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:1")))
passwords: dict[str, str] = {}
notes: dict[int, dict[str, object]] = {}
numbers = itertools.count(int(os.environ.get("NOTEBOOK_FIRST", "1")))


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


class Credentials(FlaskForm):
    name = StringField(validators=[DataRequired()])
    password = PasswordField(validators=[DataRequired()])


class Note(FlaskForm):
    title = StringField(validators=[DataRequired()])
    attachment = FileField(validators=[FileRequired()])


@logins.user_loader
def load_user(name: str) -> User | None:
    return User(name) if name in passwords else None


def page(form: FlaskForm, action: str, button: str, kind: str = "application/x-www-form-urlencoded") -> str:
    return shown(render_template_string(FORM, form=form, action=action, button=button, kind=kind))


def shown(body: str) -> str:
    return render_template_string(PAGE, body=body)


@app.route("/register", methods=["GET", "POST"])
def register() -> object:
    form = Credentials()
    if form.validate_on_submit():
        if form.name.data in passwords:
            abort(409)
        passwords[form.name.data] = form.password.data
        return redirect(url_for("log_in", name=form.name.data))
    return page(form, "/register", "register")


@app.route("/login", methods=["GET", "POST"])
def log_in() -> object:
    form = Credentials()
    if form.validate_on_submit():
        if passwords.get(form.name.data) != form.password.data:
            flash("Wrong")
            return page(form, "/login", "login"), 401
        login_user(User(form.name.data), remember=True)
        return redirect(url_for("profile", name=form.name.data))
    return page(form, "/login", "login")


@app.get("/people/<name>")
@login_required
def profile(name: str) -> str:
    if name != current_user.id:
        abort(404)
    return page(Note(), "/notes", "add", "multipart/form-data")


@app.post("/notes")
@login_required
def add() -> object:
    form = Note()
    if not form.validate_on_submit():
        abort(400)
    number = next(numbers)
    notes[number] = {"title": form.title.data, "size": len(form.attachment.data.read()), "owner": current_user.id}
    return redirect(url_for("note", number=number))


def owned(number: int) -> dict[str, object]:
    found = notes.get(number)
    if found is None or found["owner"] != current_user.id:
        abort(404)
    return found


@app.get("/notes/<int:number>")
@login_required
def note(number: int) -> str:
    found = owned(number)
    return shown(f"<h1>{found['title']}</h1><p id='size'>{found['size']}</p><a href='/notes/{number}/tags'>Tags</a>")


@app.put("/api/notes/<int:number>")
@login_required
def change(number: int) -> object:
    owned(number).update(request.get_json())
    return jsonify(number=number, revision=f"r{next(numbers):08d}")


@app.get("/api/notes/<int:number>/<revision>")
@login_required
def revision(number: int, revision: str) -> object:
    return jsonify(owned(number))


@app.post("/api/notes/<int:number>/count")
@login_required
def count(number: int) -> object:
    job = queue.enqueue(count_words, str(owned(number)["title"]))
    return jsonify(job_id=job.id), 202


@app.get("/jobs/<job_id>")
def job(job_id: str) -> object:
    found = queue.fetch_job(job_id)
    return jsonify(status="unknown" if found is None else found.get_status())


@app.post("/logout")
@login_required
def log_out() -> object:
    logout_user()
    return redirect(url_for("log_in"))
