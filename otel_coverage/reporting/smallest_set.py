"""A small set of profiles that executes most of what all of them execute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from otel_coverage.errors import StoreError
from otel_coverage.store.named_queries import named_query

if TYPE_CHECKING:
    from otel_coverage.store import Store


@dataclass(frozen=True, slots=True)
class Step:
    """A profile of the set.

    Attributes:
        profile: its name.
        adds: functions that no profile before it executes.
        functions: functions that it and those before it execute.
        percent: the same, of what all profiles execute.
    """

    profile: str
    adds: int
    functions: int
    percent: float


def smallest_set(executed: Mapping[str, Iterable[str]], keep: float = 100.0) -> list[Step]:
    """Choose profiles, each time the one that adds the most; the first by name where several do.

    The smallest set of all would take exponential time to find. This one is larger by a factor of at most
    ``1 + ln(functions)``, and in practice hardly ever: at the end, whatever those chosen later made superfluous goes.

    Args:
        executed: each profile's functions.
        keep: how much of what all of them execute has to be kept, in percent.
    """
    numbers: dict[str, int] = {}
    sets = {
        profile: _bits(numbers.setdefault(name, len(numbers)) for name in set(functions))
        for profile, functions in sorted(executed.items())
    }
    enough = len(numbers) * keep / 100
    chosen: list[str] = []
    covered = 0
    while covered.bit_count() < enough:
        best = max(sets, key=lambda profile: (sets[profile] & ~covered).bit_count())
        covered |= sets[best]
        chosen.append(best)
    for profile in list(chosen):
        others = _union(sets[other] for other in chosen if other != profile)
        if others.bit_count() >= enough:
            chosen.remove(profile)
    steps: list[Step] = []
    covered = 0
    for profile in chosen:
        adds = (sets[profile] & ~covered).bit_count()
        covered |= sets[profile]
        functions = covered.bit_count()
        steps.append(Step(profile, adds, functions, round(100 * functions / len(numbers), 2)))
    return steps


def find(store: Store, *, namespace: str = "", revision: str = "", keep: float = 100.0) -> list[Step]:
    """The set for what a store holds; that it keeps what it says is asked of the store again.

    Args:
        store: whom to ask.
        namespace: the services that share one source tree.
        revision: the newest that was traced, when empty.
        keep: how much has to be kept, in percent.

    Raises:
        StoreError: spans that came in meanwhile made the answer wrong, or the engine refuses.
    """
    chosen = {"namespace": namespace, "revision": revision}
    executed: dict[str, list[str]] = {}
    for symbol, profiles in _ask(store, "reverse-index", chosen, "symbol", "profiles"):
        for profile in profiles:
            executed.setdefault(profile, []).append(symbol)
    steps = smallest_set(executed, keep)
    if steps:
        names = ",".join(step.profile for step in steps)
        ((kept,),) = _ask(store, "kept", {**chosen, "profiles": names}, "kept")
        if kept != steps[-1].functions:
            raise StoreError(f"{store.dsn}: the set is out of date, spans came in meanwhile: ask again")
    return steps


def _ask(store: Store, name: str, parameters: Mapping[str, str], *columns: str) -> list[tuple[Any, ...]]:
    query = named_query(name)
    records = store.query(query.sql, query.bind(parameters)).records()
    return [tuple(record[column] for column in columns) for record in records]


def _bits(numbers: Iterable[int]) -> int:
    return _union(1 << number for number in numbers)


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)
