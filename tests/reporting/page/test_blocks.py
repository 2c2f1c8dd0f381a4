"""The data inside the page."""

from __future__ import annotations

import base64
import zlib

import pytest

from otel_coverage.reporting.page.blocks import Numbers, Sets, json_block, packed, zigzag


def test_integers_are_varints_one_column_after_the_other() -> None:
    numbers = Numbers()
    numbers.add("small", [0, 127])
    numbers.add("large", [128, 300, 2**31 - 1])
    assert numbers.columns == [("small", 2), ("large", 3)]
    assert numbers.content == b"\x00\x7f\x80\x01\xac\x02\xff\xff\xff\xff\x07"


def test_equal_sets_have_one_number_and_the_empty_one_is_zero() -> None:
    sets = Sets(10)
    assert [sets.number(members) for members in ([], [0, 9], [3], [9, 0])] == [0, 1, 2, 1]
    assert sets.content == b"\x01\x02\x08\x00"


@pytest.mark.parametrize(("value", "coded"), [(0, 0), (-1, 1), (1, 2), (-2, 3)])
def test_numbers_of_either_sign_stay_small(value: int, coded: int) -> None:
    assert zigzag(value) == coded


def test_a_block_cannot_leave_its_element() -> None:
    block = json_block({"name": "</script><!--", "lone": "\udc80"})
    assert zlib.decompress(base64.b64decode(packed(block))) == block
    assert not set(packed(block)) & set("<>&\"'")
