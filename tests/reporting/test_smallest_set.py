from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.smallest_set import Step, find, smallest_set
from otel_coverage.store import Store
from otel_coverage.store.named_queries import named_query
from tests.support.spans import TracedSpan, insert_spans


def test_each_step_takes_what_adds_the_most_and_says_how_much() -> None:
    executed = {"a": "123", "b": "3456", "c": "7", "d": "56"}
    assert smallest_set(executed) == [Step("b", 4, 4, 57.14), Step("a", 2, 6, 85.71), Step("c", 1, 7, 100.0)]
    assert smallest_set(executed, 80) == smallest_set(executed)[:2]
    assert smallest_set(executed, 0) == []
    assert smallest_set({}) == []


def test_what_later_choices_made_superfluous_goes() -> None:
    # the first choice, for its four, is all in the two that reach the rest
    assert [step.profile for step in smallest_set({"ends": "1256", "one": "123", "two": "456"})] == ["one", "two"]


@settings(deadline=None)
@given(
    executed=st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("123456789"), min_size=1), max_size=6),
    keep=st.integers(0, 100),
)
def test_a_set_keeps_enough_and_needs_each_of_its_profiles(executed: dict[str, set[str]], keep: int) -> None:
    steps = smallest_set(executed, keep)
    everything = set().union(*executed.values())
    kept = set().union(*(executed[step.profile] for step in steps))
    enough = len(everything) * keep / 100
    assert len(kept) >= enough
    for without in steps:
        rest = set().union(*(executed[step.profile] for step in steps if step is not without))
        assert len(rest) < enough
    assert sum(step.adds for step in steps) == len(kept)
    assert not steps or steps[-1].functions == len(kept)


def test_a_stores_set_keeps_what_the_store_itself_says(store: Store) -> None:
    insert_spans(
        store,
        TracedSpan(id="s1", profile="it's", functions=["shop:f@1", "shop:g@5"]),
        TracedSpan(id="s2", profile="order", functions=["shop:g@5", "shop:h@7"]),
        TracedSpan(id="s3", profile="subset", functions=["shop:g@5"]),
        TracedSpan(id="s4", profile="old", revision="old", second=-1, functions=["shop:gone@9"]),
    )
    steps = find(store)
    assert steps == [Step("it's", 2, 2, 66.67), Step("order", 1, 3, 100.0)]
    kept = named_query("kept")
    assert kept.ask(store, {"chosen": "it's"}).rows == [(2, 3, 66.67)]
    assert find(store, revision="old", keep=50) == [Step("old", 1, 1, 100.0)]
    with pytest.raises(ConfigurationError, match="no coverage of revision 'none'; it has abc, old"):
        find(store, revision="none")
