"""What a work horse need not find out for the connection to Redis that it opens."""

from __future__ import annotations

from types import SimpleNamespace

from redis import ConnectionPool, Redis, UnixDomainSocketConnection

from otel_coverage.instrumentation.rq.connection import described_driver


def library(client: Redis) -> tuple[object, object]:
    """What Redis was told of the library of the client's connection."""
    client.connection_pool.disconnect()
    told = client.client_info()
    return told.get("lib-name"), told.get("lib-ver")


def test_connections_tell_redis_the_same_library_and_the_client_is_as_it_was(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        before, arguments = library(client), dict(client.connection_pool.connection_kwargs)
        with described_driver(SimpleNamespace(connection=client)):
            assert library(client) == before
        assert client.connection_pool.connection_kwargs == arguments


def test_the_library_that_an_application_names_is_left_alone(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        client.connection_pool.connection_kwargs["lib_name"] = "ours"
        with described_driver(SimpleNamespace(connection=client)):
            assert "driver_info" not in client.connection_pool.connection_kwargs
        assert client.connection_pool.connection_kwargs["lib_name"] == "ours"


class OwnConnection(UnixDomainSocketConnection):
    """A class that may take only the arguments that its author knew."""


def test_a_class_of_connections_of_the_applications_gets_no_argument_that_it_may_not_take(redis_url: str) -> None:
    pool = ConnectionPool.from_url(redis_url, connection_class=OwnConnection)
    with described_driver(SimpleNamespace(connection=SimpleNamespace(connection_pool=pool))):
        assert "driver_info" not in pool.connection_kwargs


def test_a_worker_without_a_client_is_left_alone() -> None:
    with described_driver(object()):
        pass
