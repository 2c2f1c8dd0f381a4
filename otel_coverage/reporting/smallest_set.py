"""A small set of profiles that executes most of what all of them execute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from otel_coverage.errors import StoreError
from otel_coverage.reporting.integers import bits
from otel_coverage.store.known_names import checked
from otel_coverage.store.named_queries import named_query, newest_revision

if TYPE_CHECKING:
    from otel_coverage.store import Store


@dataclass(frozen=True, slots=True)
class Step:
    """A profile of the set.

    Attributes:
        profile: its name.
        adds: number of functions that no profile before it executes.
        functions: number of functions that it and those before it execute.
        percent: the share of that in what all profiles execute.
    """

    profile: str
    adds: int
    functions: int
    percent: float


def smallest_set(executed: Mapping[str, Iterable[str]], keep: float = 100.0) -> list[Step]:
    """Choose profiles greedily: each time the one that adds the most functions, the first by name of several.

    The smallest set takes exponential time to find. This one is larger by a factor of at most ``1 + ln(functions)``,
    in practice hardly ever: at the end, profiles that later ones made superfluous are removed.

    Args:
        executed: each profile's functions.
        keep: how much of what all of them execute has to be kept, in percent.
    """
    numbers: dict[str, int] = {}
    found = {
        profile: [numbers.setdefault(name, len(numbers)) for name in set(functions)]
        for profile, functions in executed.items()
    }
    return smallest_of({profile: bits(members, len(numbers)) for profile, members in found.items()}, keep)


def smallest_of(executed: Mapping[str, int], keep: float = 100.0) -> list[Step]:
    """The same, where each profile's functions are an integer with a bit for each."""
    sets = dict(sorted(executed.items()))
    total = _union(sets.values()).bit_count()
    enough = total * keep / 100
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
        steps.append(Step(profile, adds, functions, round(100 * functions / total, 2)))
    return steps


def functions_by_profile(index: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The rows of the reverse index, turned into the functions of each profile."""
    executed: dict[str, list[str]] = {}
    for row in index:
        for profile in row["profiles"]:
            executed.setdefault(profile, []).append(row["symbol"])
    return executed


def find(store: Store, *, namespace: str = "", revision: str = "", keep: float = 100.0) -> list[Step]:
    """The set for one revision of a store; the store is then asked whether the set keeps as much as it should.

    Args:
        store: an open store.
        namespace: the services that share one source tree.
        revision: empty for the newest that was traced.
        keep: how much of what all profiles execute has to be kept, in percent.

    Raises:
        ConfigurationError: the store has nothing of that revision.
        StoreError: spans were inserted meanwhile and changed the answer, or the engine refuses.
    """
    chosen = checked(store, {"namespace": namespace, "revision": revision})
    if not revision:
        chosen["revision"] = newest_revision(store, namespace)
    executed = functions_by_profile(named_query("reverse-index").ask(store, chosen).records())
    steps = smallest_set(executed, keep)
    if steps:
        names = ",".join(step.profile for step in steps)
        (row,) = named_query("kept").ask(store, {**chosen, "chosen": names}).records()
        if row["kept"] != steps[-1].functions:
            raise StoreError(f"{store.dsn}: spans were inserted while the set was computed: run the command again")
    return steps


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)
