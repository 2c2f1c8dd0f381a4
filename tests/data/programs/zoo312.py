"""What only Python 3.12 and later can write."""


def short(n): return n + 1


def aliases(n):
    type Pair[T: (int, str)] = tuple[T, short]
    return Pair.__value__ if n % 2 else Pair


def generic[T: int](n: T) -> T:
    def inner[S](s: S) -> S:
        return s
    return inner(n) if n % 2 else n


class Box[T]:
    def __init__(self, value: T):
        self.value = value

    def get[S](self, other: S) -> T | S:
        return self.value or other


def boxes(n):
    if n % 2:
        return Box(n).get(short(n))
    return n


def formatted(n):
    return f"{'a' if n % 2 else f'{short(n)}'} {
        short(n)
    }"
