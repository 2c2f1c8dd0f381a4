"""The profiles' names that tests get."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.pytest_plugin.slugs import slug_of, slugs
from otel_coverage.slug import is_slug


def test_a_node_id_is_in_lower_case_with_hyphens_for_what_a_slug_may_not_contain() -> None:
    assert (
        slug_of("tests/web/test_cart.py::TestCart::test_pay[visa 1]")
        == "tests-web-test_cart.py-testcart-test_pay-visa-1"
    )
    assert slug_of("./.hidden/test_a.py::test") == "hidden-test_a.py-test"


def test_a_long_one_is_cut_and_ends_with_a_digest_of_all_of_it() -> None:
    first, second = slug_of("t" * 200 + "a"), slug_of("t" * 200 + "b")
    assert len(first) == len(second) == 128
    assert first[:119] == second[:119] == "t" * 119
    assert first != second


def test_those_that_would_be_alike_all_get_a_digest_in_any_order() -> None:
    ids = ["test_a.py::test[x y]", "test_a.py::test[x-y]", "test_a.py::other"]
    named = slugs(ids)
    assert named == slugs(reversed(ids))
    assert named["test_a.py::other"] == "test_a.py-other"
    assert all(named[each].startswith("test_a.py-test-x-y-") for each in ids[:2])
    assert len(set(named.values())) == 3


def test_a_marker_keeps_its_name_and_a_test_that_would_have_it_gets_a_digest() -> None:
    assert slugs(["checkout"], ["checkout"])["checkout"].startswith("checkout-")


@given(st.lists(st.text(), unique=True))
def test_every_node_id_has_a_slug_of_its_own(ids: list[str]) -> None:
    named = slugs(ids)
    assert all(map(is_slug, named.values()))
    assert len(set(named.values())) == len(ids)
