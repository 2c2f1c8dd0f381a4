"""Six kinds of requests that share some of their code."""

import contextlib
import functools


class Item:
    def __init__(self, name, price):
        self.name = name
        self.price = price

    @property
    def taxed(self): return self.price * 1.2

    def __lt__(self, other):
        return self.price < other.price


def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        try:
            return function(*args)
        finally:
            note(function)

    return wrapper


def note(function): return function.__name__


@functools.lru_cache(maxsize=0)
def stock(n):
    return [Item(f"item {number}", number) for number in range(n)]


def total(items, taxes=False):
    if taxes:
        return sum(item.taxed for item in items)
    return sum(item.price for item in items)


def pages(items, size):
    page = []
    for item in items:
        page.append(item)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


cheap = lambda item: item.price < 2


@logged
def browse(n):
    shown = [item.name for item in stock(n) if cheap(item)]
    return ", ".join(shown)


@logged
def order(n):
    items = sorted(stock(n), reverse=True)
    if not items:
        raise LookupError("nothing in stock")
    return total(items, taxes=True)


@logged
def report(n):
    lines = []
    for number, page in enumerate(pages(stock(n), 2)):
        def line(): return f"{number}: {total(page)}"
        lines.append(line())
    return "\n".join(lines)


def stream(n):
    return list(chunks(n))


def chunks(n):
    yield "["
    yield from (item.name for item in stock(n))
    yield "]"


@contextlib.contextmanager
def transaction():
    begun = True
    try:
        yield begun
    except KeyError:
        rollback()
        raise
    else:
        commit()


def commit(): pass


def rollback():
    return None


def manage(n):
    with transaction():
        return max(stock(n), key=lambda item: item.price).taxed


@logged
def fail(n):
    with transaction():
        return {}[n]
