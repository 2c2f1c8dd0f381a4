from tests.support.collector import collector
from tests.support.traced import spans, store_front

__all__ = ["collector", "spans", "store_front"]
