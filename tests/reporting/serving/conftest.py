from __future__ import annotations

from tests.reporting.page.conftest import browser, built

__all__ = ["browser", "built"]
