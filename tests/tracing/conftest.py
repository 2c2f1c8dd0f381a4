from tests.support.collector import collector
from tests.support.traced import fresh_context, spans, store_front

__all__ = ["collector", "fresh_context", "spans", "store_front"]
