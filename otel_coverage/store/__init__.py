"""ClickHouse: connecting, applying the schema, asking."""

from otel_coverage.store.dsn import Dsn
from otel_coverage.store.result import Result
from otel_coverage.store.store import Store, open_store

__all__ = ["Dsn", "Result", "Store", "open_store"]
