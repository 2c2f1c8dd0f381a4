"""The memory that an embedded engine has freed."""

from __future__ import annotations

from otel_coverage.store import Store, open_store
from otel_coverage.store.allocator import Allocator


def test_the_engine_that_is_installed_returns_what_it_has_freed(store: Store) -> None:
    allocator = Allocator(store.dsn)
    allocator.purge()
    assert allocator.is_supported
    allocator.close()


def test_a_store_that_is_read_alone_asks_for_that_though_its_own_client_may_not(store: Store, store_dsn: str) -> None:
    with open_store(store_dsn, read_only=True) as reader:
        assert reader.query("SELECT 1").rows == [(1,)]
        assert reader.query("SELECT getSetting('readonly')").rows == [(2,)]
        assert reader.allocator is not None
        assert reader.allocator.is_supported
