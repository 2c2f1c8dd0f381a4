from tests.support.collector import collector, slow_collector
from tests.support.redis import redis, redis_socket, redis_url
from tests.support.traced import fresh_context, spans, store_front
from tests.support.workers import enqueuing

__all__ = [
    "collector",
    "enqueuing",
    "fresh_context",
    "redis",
    "redis_socket",
    "redis_url",
    "slow_collector",
    "spans",
    "store_front",
]
