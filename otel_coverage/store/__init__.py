"""ClickHouse: connecting, applying the schema, named queries."""

from otel_coverage.store.dsn import Dsn
from otel_coverage.store.store import Result, Store, open_store

__all__ = ["Dsn", "Result", "Store", "open_store"]
