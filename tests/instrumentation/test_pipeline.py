"""Learning what becomes of a Redis pipeline, without changing what it does."""

from __future__ import annotations

import gc
import signal
from types import FrameType
from typing import Any

import pytest
from redis import Redis, WatchError
from redis.client import Pipeline
from redis.exceptions import ResponseError

from otel_coverage.instrumentation.rq.pipeline import NeverExecutedError, when_executed


@pytest.fixture
def outcomes() -> list[BaseException | None]:
    return []


def test_an_execution_is_told_once_to_all_who_asked(redis: Redis, outcomes: list[BaseException | None]) -> None:
    with redis.pipeline() as pipeline:
        pipeline.set("name", "value")
        when_executed(pipeline, outcomes.append)
        when_executed(pipeline, outcomes.append)
        assert outcomes == []
        assert pipeline.execute() == [True]
        assert outcomes == [None, None]
        pipeline.get("name")
        assert pipeline.execute() == [b"value"]
    assert outcomes == [None, None]
    assert type(pipeline) is Pipeline


@pytest.mark.parametrize("end", ["reset", "close", "leave the block", "drop"])
def test_a_pipeline_that_nobody_executes_says_so_and_gives_its_connection_back(
    end: str, redis: Redis, outcomes: list[BaseException | None]
) -> None:
    gc.disable()  # what is dropped is gone at once: nothing refers to itself
    try:
        pipeline: Any = redis.pipeline()
        pipeline.watch("name")
        when_executed(pipeline, outcomes.append)
        if end == "leave the block":
            with pipeline:
                pass
        elif end != "drop":
            getattr(pipeline, end)()
        del pipeline
        free = redis.connection_pool._available_connections
        assert len(free) == redis.connection_pool._created_connections
    finally:
        gc.enable()
    assert [type(outcome) for outcome in outcomes] == [NeverExecutedError]


def test_a_pipeline_that_is_used_for_something_else_after_a_reset_is_not_asked_any_more(
    redis: Redis, outcomes: list[BaseException | None]
) -> None:
    with redis.pipeline() as pipeline:
        pipeline.set("name", "value")
        when_executed(pipeline, outcomes.append)
        pipeline.reset()
        pipeline.execute()
    assert [type(outcome) for outcome in outcomes] == [NeverExecutedError]


def test_a_failed_execution_raises_what_it_raises_and_that_is_told(
    redis: Redis, outcomes: list[BaseException | None]
) -> None:
    redis.set("text", "no list")
    pipeline: Any = redis.pipeline()
    pipeline.rpush("text", 1)
    when_executed(pipeline, outcomes.append)
    with pytest.raises(ResponseError):
        pipeline.execute()
    pipeline.watch("text")
    pipeline.multi()
    when_executed(pipeline, outcomes.append)
    redis.set("text", "changed")
    pipeline.get("text")
    with pytest.raises(WatchError):
        pipeline.execute()
    assert [type(outcome) for outcome in outcomes] == [ResponseError, WatchError]


def test_a_pipeline_of_a_class_of_ones_own_keeps_its_behaviour(
    redis: Redis, outcomes: list[BaseException | None]
) -> None:
    class OwnPipeline(Pipeline):
        def execute(self, raise_on_error: bool = True) -> list[object]:
            return ["mine", *super().execute(raise_on_error)]

    pipeline = OwnPipeline(redis.connection_pool, redis.response_callbacks, True, None)
    pipeline.set("name", "value")
    when_executed(pipeline, outcomes.append)
    assert isinstance(pipeline, OwnPipeline)
    assert pipeline.execute() == ["mine", True]
    assert outcomes == [None]


def test_an_object_whose_class_is_fixed_counts_as_executed(outcomes: list[BaseException | None]) -> None:
    when_executed(Fixed(), outcomes.append)
    assert outcomes == [None]


class Fixed:
    __slots__ = ("__dict__", "other")

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(name)


class _Interrupted:
    """A pipeline that is looked at in the moment in which a signal comes."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            signal.raise_signal(signal.SIGUSR1)
        return super().__getattribute__(name)


def test_what_a_signals_handler_raises_goes_on_and_the_call_counts_as_made(
    outcomes: list[BaseException | None],
) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("the time is up")

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.raises(TimeoutError, match="the time is up"):
            when_executed(_Interrupted(), outcomes.append)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert outcomes == [None]
