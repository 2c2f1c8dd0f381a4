"""Clients on slow lines: what moves is served, also while others wait; what nearly stands still is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from otel_coverage.collecting import bodies, connections
from otel_coverage.collecting.bodies import BodyError, read_body
from otel_coverage.collecting.connections import EXCHANGE, Exchange

KIB = 1024


class Line:
    """A connection over which a body comes at some bytes a second, on a clock of its own.

    Args:
        body: how many bytes.
        rate: a second.
        others_wait: whether requests wait for a thread meanwhile.
    """

    def __init__(self, body: int, rate: int, *, others_wait: bool) -> None:
        self.now = 1000.0
        self._left, self._rate, self._others_wait = body, rate, others_wait

    def monotonic(self) -> float:
        return self.now

    def fileno(self) -> int:
        return 3

    def shutdown(self, how: int) -> None:
        """The connection was closed: the next read fails."""

    def read(self, size: int) -> bytes:
        """As a server's stream does, of whose connection the watcher looks at the deadlines."""
        size = min(size, self._left)
        until = self.now + size / self._rate
        while self.now < until:
            self.now = min(self.now + 0.25, until)
            self.exchange.check(self.now, others_wait=self._others_wait)
            if self.exchange.is_over:
                raise OSError("closed")
        self._left -= size
        return bytes(size)

    def receive(self, monkeypatch: pytest.MonkeyPatch) -> int:
        """How many bytes arrive."""
        for module in (bodies, connections):
            monkeypatch.setattr(module, "time", self)
        self.exchange = Exchange(SimpleNamespace(socket=self))
        request: Any = SimpleNamespace(stream=self, environ={EXCHANGE: self.exchange}, headers={})
        return sum(map(len, read_body(request, 64 * KIB * KIB)))


@pytest.mark.parametrize("others_wait", [False, True])
def test_a_body_that_comes_slowly_and_steadily_arrives_also_while_others_wait(
    others_wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(2000 * KIB, 24 * KIB, others_wait=others_wait)
    assert line.receive(monkeypatch) == 2000 * KIB
    assert line.now > 1080


@pytest.mark.parametrize(("others_wait", "most"), [(False, 60.0), (True, 2.0)])
def test_a_body_that_nearly_stands_still_is_given_up_at_once_where_others_wait(
    others_wait: bool, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(2000 * KIB, 8 * KIB, others_wait=others_wait)
    with pytest.raises(BodyError, match="did not arrive whole"):
        line.receive(monkeypatch)
    assert line.now < 1000 + most
