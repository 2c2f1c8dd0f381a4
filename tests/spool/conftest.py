from tests.support.collector import collector

__all__ = ["collector"]
