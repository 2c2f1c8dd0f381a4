"""Attribute values as text, as otelcol's ClickHouse exporter writes them into a Map of strings.

Arrays and maps become JSON the way Go's encoder does it: ``<``, ``>`` and ``&`` escaped, keys sorted.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_ESCAPED = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"},
)


def attributes_as_text(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Each attribute's value as text; the last one counts where a key comes twice."""
    return {attribute.key: as_text(attribute.value) for attribute in attributes}


def as_text(value: AnyValue) -> str:
    """One value as text; empty for none."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return f"json: unsupported value: {_unsupported(value.double_value)}"
    if kind is None:
        return ""
    try:
        return _as_json(value)
    except ValueError:  # a number within that JSON has no word for
        return ""


def _as_json(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "string_value":
            return _quoted(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return number(value.double_value)
        case "bytes_value":
            return f'"{b64encode(value.bytes_value).decode()}"'
        case "array_value":
            return f"[{','.join(_as_json(item) for item in value.array_value.values)}]"
        case "kvlist_value":
            members = {member.key: member.value for member in value.kvlist_value.values}
            return f"{{{','.join(f'{_quoted(key)}:{_as_json(members[key])}' for key in sorted(members))}}}"
        case _:
            return "null"


def number(value: float) -> str:
    """A double as Go's JSON encoder writes it: exponents only below 1e-6 and from 1e21 on.

    Raises:
        ValueError: it is infinite or no number.
    """
    if not math.isfinite(value):
        raise ValueError(value)
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    shortest = repr(value)
    if 1e-6 <= abs(value) < 1e21:
        if value.is_integer():
            return _integral(shortest)
        return shortest if "e" not in shortest else f"{value:.{_places(shortest)}f}"
    mantissa, _, exponent = shortest.partition("e")
    sign, digits = exponent[0], exponent[1:].lstrip("0")
    return f"{mantissa.removesuffix('.0')}e{sign}{digits}"


def _integral(shortest: str) -> str:
    """The shortest decimal as an integer: 1e+20 is 1 and twenty zeros, not the binary neighbour."""
    mantissa, _, exponent = shortest.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    return whole + fraction + "0" * (int(exponent or 0) - len(fraction))


def _places(shortest: str) -> int:
    """How many decimal places the shortest form with an exponent has, written without one."""
    mantissa, _, exponent = shortest.partition("e")
    return len(mantissa.partition(".")[2]) - int(exponent)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPED)


def _unsupported(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
