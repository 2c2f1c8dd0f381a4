"""The memory allocator of an engine in this process.

It keeps the pages that queries have freed: after some reading hundreds of MiB, for it returns them in time only where a
thread of its own does so, and the embedded engine starts none. To ask for it is a statement of its own, which a client
that may only read cannot send: hence a client for it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_coverage.store.dsn import Dsn


class Allocator:
    """Returns what an embedded engine has freed to the system.

    Args:
        dsn: of a store that is open in this process.
    """

    def __init__(self, dsn: Dsn) -> None:
        self._client: Client | None = clickhouse_connect.get_client(interface="chdb", path=dsn.path)

    @property
    def is_supported(self) -> bool:
        """Whether the engine has not refused yet, and is open."""
        return self._client is not None

    def purge(self) -> None:
        """Return the pages that are not used; takes milliseconds. An engine with another allocator keeps them."""
        if self._client is None:
            return
        try:
            self._client.command("SYSTEM JEMALLOC PURGE")
        except ClickHouseError:
            self.close()

    def close(self) -> None:
        """Let go of the engine."""
        if self._client is not None:
            self._client.close()
            self._client = None
