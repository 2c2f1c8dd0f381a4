"""Placeholders in playback recordings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_coverage.playback import templates

VALUES = {"run": "tour-1", "order": 7, "odd": "a/b?c"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${run}", "tour-1"),
        ("${order}", 7),
        ("no. ${order} of ${run}", "no. 7 of tour-1"),
        ("$${order}", "${order}"),
        ("$${run} and ${run}", "${run} and tour-1"),
        ("$run $5 {run} ${}", "$run $5 {run} ${}"),
    ],
)
def test_a_placeholder_is_replaced_by_its_value(text: str, filled: Any) -> None:
    assert templates.fill(text, VALUES) == filled
    assert templates.fill({"deep": [text, 1, None]}, VALUES) == {"deep": [filled, 1, None]}


def test_a_value_in_a_path_stays_one_segment() -> None:
    assert templates.fill_path("/runs/${run}/x/${odd}?n=${order}&literal=$${run}", VALUES) == (
        "/runs/tour-1/x/a%2Fb%3Fc?n=7&literal=${run}"
    )


def test_placeholders_are_found_at_any_depth() -> None:
    assert list(templates.names(["/${a}", {"b": ["${c}", "$${d}"]}, 1, None])) == ["a", "c"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="${}arun ", max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_filling_an_escaped_value_returns_the_original(value: Any) -> None:
    assert templates.fill(templates.escape(value), {}) == value
    assert list(templates.names(templates.escape(value))) == []
