"""A small Flask application; every path ends with an id that the client chose."""

import os
import time

from flask import Flask, Response, jsonify, request
from redis import Redis
from rq import Queue
from rq.job import Job

from desk import journal, parts


def create_app():
    app = Flask("desk.web")
    redis = Redis.from_url(os.environ["REDIS_URL"]) if "REDIS_URL" in os.environ else None

    @app.get("/take/<numbers>/<id>")
    def take(numbers, id):
        journal.note("begun", id)
        parts.take(numbers_of(numbers), pause())
        return jsonify(id=id)

    @app.get("/stream/<numbers>/<id>")
    def stream(numbers, id):
        journal.note("begun", id)
        return Response(parts.take_each(numbers_of(numbers), pause()), mimetype="text/plain")

    @app.post("/enqueue/<numbers>/<id>")
    def enqueue(numbers, id):
        from desk import jobs

        journal.note("begun", id)
        Queue(connection=redis).enqueue(jobs.take, numbers_of(numbers), pause(), job_id=f"job-{id}")
        return jsonify(job_id=f"job-{id}"), 202

    @app.get("/fork/<numbers>/<id>")
    def fork(numbers, id):
        import multiprocessing

        context = multiprocessing.get_context("fork")
        children = [context.Process(target=parts.take, args=([number],)) for number in numbers_of(numbers)]
        for child in children:
            child.start()
        # below gunicorn such a child ends with 1, traced or not. One without exit code after a minute hangs; join() would
        # return early where another thread, which starts a process of its own, is just reaping the child.
        until = time.monotonic() + 60
        while any(child.exitcode is None for child in children) and time.monotonic() < until:
            time.sleep(0.01)
        return jsonify(id=id), 200 if all(child.exitcode is not None for child in children) else 500

    @app.get("/many/<count>/<id>")
    def many(count, id):
        import many

        many.call(int(count))
        return jsonify(id=id)

    @app.get("/jobs/<id>")
    def status(id):
        return jsonify(status=Job.fetch(id, connection=redis).get_status().value)

    return app


def numbers_of(text):
    return [int(number) for number in text.split("-")]


def pause():
    return float(request.args.get("pause", "0"))
