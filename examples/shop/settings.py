"""The shop's settings."""

from __future__ import annotations

import os
from dataclasses import dataclass

QUEUE = "shop"


@dataclass(frozen=True)
class Settings:
    """Where the shop keeps its data and its jobs."""

    database: str
    redis_url: str

    @classmethod
    def from_environment(cls) -> Settings:
        """``SHOP_DATABASE`` and ``REDIS_URL``, as the web processes and the worker share them."""
        return cls(
            database=os.environ.get("SHOP_DATABASE", "shop.sqlite3"),
            redis_url=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"),
        )

    @classmethod
    def for_testing(cls, folder: str) -> Settings:
        """Settings for a shop that keeps everything in ``folder``."""
        return cls(database=os.path.join(folder, "shop.sqlite3"), redis_url="redis://127.0.0.1:6379/15")
