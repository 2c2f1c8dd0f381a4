"""Attribute values as otelcol's ClickHouse exporter writes them."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from otel_coverage.collecting.rows import as_text, attributes_as_text, number


def array(*values: AnyValue) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=values))


def strings(*texts: str) -> AnyValue:
    return array(*(AnyValue(string_value=text) for text in texts))


def mapping(**values: AnyValue) -> AnyValue:
    members = [KeyValue(key=key, value=value) for key, value in values.items()]
    return AnyValue(kvlist_value=KeyValueList(values=members))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (AnyValue(), ""),
        (AnyValue(string_value="as it <is>"), "as it <is>"),
        (AnyValue(bool_value=True), "true"),
        (AnyValue(bool_value=False), "false"),
        (AnyValue(int_value=-(2**63)), "-9223372036854775808"),
        (AnyValue(double_value=0.25), "0.25"),
        (AnyValue(double_value=math.nan), "json: unsupported value: NaN"),
        (AnyValue(double_value=-math.inf), "json: unsupported value: -Inf"),
        (AnyValue(bytes_value=b"\x00\xff"), "AP8="),
        (strings(), "[]"),
        (strings("a", "shop:price.<locals>.rounded@7"), r'["a","shop:price.\u003clocals\u003e.rounded@7"]'),
        (strings("R&D", 'say "x"', "a\\b", "é😀", "a\nb\t\x01", "\u2028"), None),
        (
            array(AnyValue(int_value=1), AnyValue(double_value=1.0), AnyValue(bool_value=True), AnyValue()),
            "[1,1,true,null]",
        ),
        (array(strings("a"), AnyValue(bytes_value=b"x")), '[["a"],"eA=="]'),
        (array(AnyValue(double_value=math.inf)), ""),
        (mapping(b=AnyValue(int_value=1), a=strings("<")), r'{"a":["\u003c"],"b":1}'),
        (mapping(), "{}"),
    ],
)
def test_a_value_is_rendered_as_otelcol_does(value: AnyValue, text: str | None) -> None:
    if text is None:
        text = r'["R\u0026D","say \"x\"","a\\b","é😀","a\nb\t\u0001","\u2028"]'
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1.5e-5, "0.000015"),
        (-1.25e-5, "-0.0000125"),
        (9.99e-7, "9.99e-7"),
        (1e-7, "1e-7"),
        (5e-324, "5e-324"),
        (123456789.125, "123456789.125"),
        (1e16, "10000000000000000"),
        (1.7e18, "1700000000000000000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_a_double_is_rendered_as_go_does(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_rendered_double_parses_to_the_same_value(value: float) -> None:
    assert float(number(value)) == value


@given(st.lists(st.text()))
def test_angle_brackets_in_arrays_are_escaped(texts: list[str]) -> None:
    written = as_text(strings(*texts))
    assert json.loads(written) == texts
    assert not set("<>&\u2028\u2029") & set(written)


def test_the_last_value_of_a_repeated_key_is_kept() -> None:
    pairs = [KeyValue(key="a", value=AnyValue(int_value=number)) for number in (1, 2)]
    assert attributes_as_text(pairs) == {"a": "2"}
