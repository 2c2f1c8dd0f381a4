"""The connection to Redis that each work horse opens."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from otel_coverage.loaded import loaded
from otel_coverage.tracing.log import log

_NAMES = ("driver_info", "lib_name", "lib_version")


@functools.lru_cache(maxsize=1)
def _described(describe: Callable[[], Any]) -> Any:
    return describe()


@contextmanager
def described_driver(worker: Any) -> Iterator[None]:
    """A child that is forked in this block knows what its connections report to Redis of their library. Never raises.

    From redis-py 8 on, each connection of a pool that was made of a URL reads that from the metadata of the installed
    package: 3 ms of a process that is forked for one job. A client made in any other way has its pool know
    it, in the argument that is given here. Classes of connections that are not redis-py's may not take it.

    Args:
        worker: of RQ, whose client opens these connections.
    """
    arguments = None
    try:
        describe = loaded("redis.driver_info", "DriverInfo")
        if describe is not None:
            pool = worker.connection.connection_pool
            found, is_redis = pool.connection_kwargs, pool.connection_class.__module__.partition(".")[0] == "redis"
            if is_redis and type(found) is dict and not any(name in found for name in _NAMES):
                found["driver_info"] = _described(describe)
                arguments = found
    except Exception as error:
        log.failed("describing the library of a connection", error)
    try:
        yield
    finally:
        if arguments is not None:
            arguments.pop("driver_info", None)
