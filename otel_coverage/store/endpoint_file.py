"""The endpoint file: where the process that has an embedded store open answers queries to it over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from otel_coverage.store.dsn import Dsn
from otel_coverage.store.lock_owner import LockOwner

if TYPE_CHECKING:
    from typing_extensions import Self

_NAME = "otel-coverage-collector.json"


@dataclass(frozen=True, slots=True)
class EndpointFile:
    """A ClickHouse HTTP interface and its credentials, as a file in the store's folder that only its owner can read."""

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)

    def dsn(self, database: str) -> Dsn:
        """The address of a database there."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return Dsn("clickhouse", database, host=host, port=self.port, username=self.user, password=self.password)

    @contextmanager
    def written(self, folder: str) -> Iterator[None]:
        """The file exists in ``folder``, with this process's id, for as long as the block lasts."""
        path = Path(folder, _NAME)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), **asdict(self)}, file)
        fresh.replace(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: str, owner: LockOwner) -> Self | None:
        """The file in ``folder``; None where there is none, or it was left by another process than the lock's owner."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            content = json.loads(Path(folder, _NAME).read_text(encoding="utf-8"))
            if content.pop("pid") == owner.pid:
                return cls(**content)
        return None
