"""The spans that were inserted last, by which those that arrive again are recognized."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum

from otel_coverage.collecting.spans import Key

WINDOW = 200_000  # spans; some 40 MB


class Arrival(Enum):
    """What a span is, compared with those before it."""

    NEW = "new"
    AGAIN = "again"  # the same content under the same id
    CONFLICT = "conflict"  # another content under the same id


class RecentSpans:
    """Bounded: of the spans that were added last.

    Args:
        window: how many.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._digests: OrderedDict[int, int | tuple[int, ...]] = OrderedDict()

    def add(self, key: Key) -> Arrival:
        """Say what a span is, and remember it."""
        if not key.is_named:
            return Arrival.NEW
        name = _name(key)
        known = self._digests.pop(name, None)
        if known is None:
            self._digests[name] = key.digest
            if len(self._digests) > self._window:
                self._digests.popitem(last=False)
            return Arrival.NEW
        digests = known if isinstance(known, tuple) else (known,)
        again = key.digest in digests
        self._digests[name] = known if again else (*digests, key.digest)
        return Arrival.AGAIN if again else Arrival.CONFLICT

    def forget(self, keys: Iterable[Key]) -> None:
        """Take spans out again, which were not inserted after all."""
        for key in keys:
            self._digests.pop(_name(key), None)


def _name(key: Key) -> int:
    return hash((key.trace, key.span))  # 64 bits, instead of both texts
