"""Where the process that holds an embedded store answers in its place: a file in the store's folder, while it does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from otel_coverage.store.dsn import Dsn
from otel_coverage.store.holder import Holder

_NAME = "otel-coverage-collector.json"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A ClickHouse HTTP interface, and what it wants to hear. Only the store's owner can read it."""

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)

    def dsn(self, database: str) -> Dsn:
        """The address of a database there."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - a name, not a place
        return Dsn("clickhouse", database, host=host, port=self.port, username=self.user, password=self.password)


@contextmanager
def announced(folder: str, announcement: Announcement) -> Iterator[None]:
    """Announce, for as long as the block lasts."""
    path = Path(folder, _NAME)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), **asdict(announcement)}, file)
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def announcement_of(folder: str, holder: Holder) -> Announcement | None:
    """What the holder of a folder announced; None where that is nothing, or is left from one that was killed."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        said = json.loads(Path(folder, _NAME).read_text(encoding="utf-8"))
        if said.pop("pid") == holder.pid:
            return Announcement(**said)
    return None
