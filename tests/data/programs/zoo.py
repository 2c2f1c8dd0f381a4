"""One function for each way in which Python runs code; each takes a number that chooses what it reaches."""

import asyncio
import contextlib
import functools


def plain(n):
    if n % 2:
        return odd(n)
    total = 0
    for number in range(n + 1):
        total += number
    return total


def odd(n):
    """Only odd numbers come here."""
    return n


def one_line(n): return short(n) if n % 2 else n


def short(n): return n + 1  # fmt: skip


def only_doc(n):
    """Nothing but this."""


def call_only_doc(n):
    only_doc(n)
    empty(n)


def empty(n): ...


def several_on_a_line(n):
    a = n; b = a + 1; c = short(b) if n > 1 else b
    return (
        a,
        b
        + c,
    )


double = lambda n: n * 2
choose = lambda n: (
    double(n)
    if n > 1
    else n
)


def lambdas(n):
    inner = lambda: double(n)
    if n % 2:
        return inner()
    return choose(n), (lambda: 0)()


def comprehensions(n):
    listed = [short(number) for number in range(n)]
    mapped = {number: odd(number) for number in range(n) if number % 2}
    return listed, mapped, {number for number in listed}


def generator_expressions(n):
    lazy = (short(number) for number in range(3))
    never = (odd(number) for number in range(3))
    if n % 2:
        return sum(
            number
            for number in lazy
            if number
        )
    return never


def from_c(n):
    def key(number):
        return -number

    numbers = sorted(range(3), key=key)
    if n % 2:
        return list(map(short, numbers))
    return functools.reduce(lambda a, b: a + odd(b), numbers), max(numbers, key=lambda number: -number)


def recursion(n):
    if n <= 0:
        return 0
    return 1 + recursion(n - 1)


def mutual(n):
    return n and mutually(n - 1)


def mutually(n):
    return n and mutual(n - 1)


def wrapped(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def with_arguments(a, b):
    def decorate(function):
        def never(*args):
            return None

        return function if a else never

    return decorate


@wrapped
def decorated(n): return short(n)


@with_arguments(
    lambda: 1,
    b=lambda: 2,
)
@wrapped
def decorated_twice(
    n,
    default=short(1),
):
    return n


def decorators(n):
    if n % 2:
        return decorated(n)
    return decorated_twice(n)


def nested(n):
    def inner():
        def innermost():
            return n

        return innermost() if n % 2 else n

    def unused():
        return inner()

    return inner()


def redefined(n):
    def same(): return 1
    first = same
    def same():
        return 2
    return first() if n % 2 else same()


class Base:
    attribute = short(1)

    def __init__(self, n):
        self.n = n

    @property
    def value(self):
        return self.n

    @value.setter
    def value(self, n):
        self.n = n

    @staticmethod
    def static(n): return n

    @classmethod
    def build(cls, n):
        return cls(n)

    def __add__(self, other):
        return Base(self.n + other.n)

    def __iter__(self):
        yield self.n
        if self.n > 1:
            yield self.n

    def __getattr__(self, name):
        return short(0)


class Derived(Base):
    def __init__(self, n):
        super().__init__(n)
        self.value = n

    def __lt__(self, other):
        return self.n < other.n


def classes(n):
    if n == 0:
        return Base.static(n)
    if n == 1:
        return list(Base.build(n) + Base(n))
    if n == 2:
        return sorted([Derived(2), Derived(1)])
    return Derived(n).missing


def local_class(n):
    class Local(Base):
        marked = [odd(number) for number in range(2)]

        def method(self):
            return self.n

        if n % 2:
            def other(self):
                return 0

    return Local(n).method()


def raises(n):
    if n % 2:
        raise ValueError(n)
    return n


def exceptions(n):
    try:
        raises(n)
    except ValueError as error:
        short(0)
        return str(error)
    else:
        n += 1
    finally:
        odd(n)
    return n


def finally_returns(n):
    for number in range(3):
        try:
            if number == n:
                return odd(number)
            continue
        finally:
            short(number)


def uncaught(n):
    if n > 1:
        raises(1)
    return 1 / (n % 2)


@contextlib.contextmanager
def managed(n):
    short(n)
    try:
        yield n
    except LookupError:
        odd(n)
    finally:
        plain(0)


def with_statements(n):
    with managed(n), contextlib.suppress(ZeroDivisionError):
        if n == 1:
            raise KeyError(n)
        if n == 2:
            raise ZeroDivisionError
    with managed(n) as value:
        return value


def numbers(n):
    sent = yield 1
    for number in range(n): yield number
    if sent:
        yield short(sent)
    try:
        yield 2
    finally:
        odd(0)


def one_line_numbers(n): yield n; yield odd(n)


def delegating(n):
    yield 0
    result = yield from numbers(n)
    yield from one_line_numbers(n)
    return result


def generators(n):
    if n == 0:
        return numbers(0)
    if n == 1:
        return next(numbers(1)), list(one_line_numbers(1))
    if n == 2:
        running = numbers(2)
        next(running)
        return [running.send(3), *running]
    return list(delegating(n))


def thrown_into(n):
    running = numbers(n)
    next(running)
    if n % 2:
        with contextlib.suppress(KeyError):
            running.throw(KeyError())
        return None
    for _ in running:
        if n > 1:
            running.close()
    return None


def catching():
    while True:
        try:
            yield 1
        except KeyError:
            short(1)
            yield 2


def caught(n):
    running = catching()
    next(running)
    return running.throw(KeyError()), n % 2 and next(running)


async def answer(n):
    await asyncio.sleep(0)
    return short(n)


async def counting(n):
    for number in range(n):
        yield number
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def opened(n):
    yield n
    odd(n)


async def all_together(n):
    async with opened(n):
        found = [number async for number in counting(n)]
    if n % 2:
        found += await asyncio.gather(answer(1), answer(2))
    async def late():
        return await answer(n)
    return found, await late()


def asynchronous(n):
    return asyncio.run(all_together(n))


class Finalized:
    def __init__(self, n):
        self.n = n

    def __del__(self):
        if self.n % 2:
            odd(self.n)


def finalizers(n):
    dying = Finalized(n)
    del dying
    Finalized(n + 1)
    return n


def loops(n):
    found = 0
    while found < n:
        found += 1
        if found == 2:
            break
    else:
        short(n)
    for number in range(n):
        if number == 1: continue
        odd(number)
    else:
        found = 0
    return found


def matching(n):
    match n, n % 2:
        case 0, _:
            return short(n)
        case _, 1 if n > 2:
            return odd(n)
        case (1, _) | (3, _):
            return 1
        case _:
            return 0


def conditional_definition(n):
    if n % 2:
        def chosen():
            return odd(n)
    else:
        chosen = lambda: short(n)
    return chosen()


def defaults(n):
    def with_default(a=short(n), *, b=(lambda: n)()):
        return a + b

    return with_default() if n % 2 else None


def strings(n):
    return f"{short(n)} {odd(n)!r:>{short(2)}}" f"{n if n % 2 else double(n)}"


def walrus(n):
    if (found := short(n)) > 2 and (other := odd(found)):
        return other
    return found


def asserting(n):
    assert short(n), odd(n)
    assert n < 3, f"{odd(n)}"


def deleting(n):
    keep = [n]
    del keep[0]
    global _kept
    _kept = n
    return _kept


def star(*args, **named):
    return args, named


def arguments(n):
    return star(*[short(n)], **{"a": odd(n)}) if n % 2 else star(n, a=n)
