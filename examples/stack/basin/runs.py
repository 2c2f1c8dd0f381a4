"""The runs of the model: what they have worked out so far, in Redis."""

from __future__ import annotations

import json
import os
import uuid
from typing import Any

from redis import Redis


def redis() -> Redis:
    """A connection to the Redis that ``REDIS_URL`` names, for runs and jobs."""
    return Redis.from_url(os.environ["REDIS_URL"])


def new(name: str) -> str:
    """Begin a run. Returns its id."""
    run = f"{name};;tmp;;{uuid.uuid4().hex}"
    put(run, "name", name)
    return run


def put(run: str, key: str, value: Any) -> None:
    """Keep a result."""
    with redis() as connection:
        connection.hset(f"run:{run}", key, json.dumps(value))


def results(run: str) -> dict[str, Any]:
    """The results of a run; empty where there is no such run."""
    with redis() as connection:
        found: Any = connection.hgetall(f"run:{run}")
    return {key.decode(): json.loads(value) for key, value in found.items()}
