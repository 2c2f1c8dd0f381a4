"""What the interpreter would see of a change to a file."""

from __future__ import annotations

from textwrap import dedent

import pytest

from otel_coverage.impact.code import compare, parse

BEFORE = '''
"""Orders."""
from shop import money

RATE = 5


class Order(Base):
    """An order."""

    kind = "order"

    def __init__(self, rows):
        self.rows = rows

    @property
    def total(self):
        return sum(self.rows)

    @total.setter
    def total(self, value):
        self.rows = [value]


@route("/orders")
def place(rows, rate=RATE):
    def check(row):
        return row > 0

    return list(filter(check, rows))


def later():
    return [row for row in range(RATE)]
'''

SAME = {
    "comments": ("    return sum", "    # why\n        return sum"),
    "blank lines and moved lines": ("RATE = 5\n", "\n\n\nRATE = 5\n"),
    "another layout": ("list(filter(check, rows))", "list(\n        filter(check,\n               rows),\n    )"),
    "quotes": ('"order"', "'order'"),
}

CHANGES = {
    "a body": ("return sum(self.rows)", "return max(self.rows)", ["function changed Order.total"]),
    "a setter": ("[value]", "[value, 1]", ["function changed Order.total"]),
    "a function in a function": ("row > 0", "row > 1", ["function changed place.<locals>.check"]),
    "a function in a function that is gone": (
        "    def check(row):\n        return row > 0\n",
        "    check = None\n",
        ["function changed place", "function deleted place.<locals>.check"],
    ),
    "an argument of a decorated function": ("rate=RATE", "rate=1", ["module changed", "function changed place"]),
    "a decorator": ('"/orders"', '"/order"', ["module changed", "function changed place"]),
    "an argument of another function": ("def later():", "def later(most=3):", ["function changed later"]),
    "what a class's body runs": ('kind = "order"', 'kind = "bill"', ["module changed"]),
    "a base": ("Order(Base)", "Order(Other)", ["module changed"]),
    "an import": ("import money", "import money, pricing", ["module changed"]),
    "a constant": ("RATE = 5", "RATE = 6", ["constant changed RATE"]),
    "a constant that is computed": ("RATE = 5", "RATE = money.rate()", ["module changed", "constant deleted RATE"]),
    "a docstring of a module": ('"""Orders."""', '"""Bills."""', ["constant changed __doc__"]),
    "a new function": ("def later", "def new():\n    pass\n\n\ndef later", ["function added new"]),
    "a new method": (
        "    @property",
        "    def new(self):\n        pass\n\n    @property",
        ["function added Order.new"],
    ),
    "a function that is gone": (
        "def later():\n    return [row for row in range(RATE)]\n",
        "",
        ["function deleted later"],
    ),
    "another name": ("def later", "def now", ["function added now", "function deleted later"]),
    "async": ("def later", "async def later", ["function changed later"]),
    "a function that is called before it is defined": (
        "RATE = 5\n",
        "RATE = 5\nROWS = [later]\n",
        ["module changed", "constant added ROWS"],
    ),
}


def changes(before: str, after: str) -> list[str]:
    found = compare(parse(before.encode()), parse(after.encode()))
    return [f"{each.kind} {each.change} {each.name}".strip() for each in found]


@pytest.mark.parametrize("what", SAME)
def test_what_the_interpreter_does_not_see_is_no_change(what: str) -> None:
    old, new = SAME[what]
    assert old in BEFORE
    assert changes(BEFORE, BEFORE.replace(old, new)) == []


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_of_a_function_a_constant_or_what_an_import_runs(what: str) -> None:
    old, new, expected = CHANGES[what]
    assert BEFORE.count(old) == 1
    assert changes(BEFORE, BEFORE.replace(old, new)) == expected


def test_the_order_of_functions_alone_is_no_change() -> None:
    one, two = "def one():\n    return 1\n", "def two():\n    return 2\n"
    assert changes(one + two, two + one) == []
    assert changes(f"{one}X = one()\n", f"X = one()\n{one}") == ["module changed"]


def test_of_two_definitions_with_one_name_the_one_that_changed_is_named() -> None:
    before = dedent("""
        if FAST:
            def run():
                return 1
        else:
            def run():
                return 2
        """)
    (found,) = compare(parse(before.encode()), parse(before.replace("return 2", "return 3").encode()))
    assert (found.name, found.after and found.after.line) == ("run", 6)


def test_a_function_that_its_caller_declares_global_has_no_caller_in_its_name() -> None:
    before = "def make():\n    global made\n    def made():\n        return 1\n"
    assert changes(before, before.replace("1", "2")) == ["function changed made"]
