"""What requests and jobs execute: the parts that they name, so that each test knows its set of functions."""

import time


def take(numbers, pause=0.0):
    for number in numbers:
        PARTS[number]()
        if pause:
            time.sleep(pause)


def take_each(numbers, pause=0.0):
    for number in numbers:
        take([number], pause)
        yield f"{number} "


def part_0():
    return 0


def part_1():
    return 1


def part_2():
    return 2


def part_3():
    return 3


def part_4():
    return 4


def part_5():
    return 5


def part_6():
    return 6


def part_7():
    return 7


def part_8():
    return 8


def part_9():
    return 9


def part_10():
    return 10


def part_11():
    return 11


def part_12():
    return 12


def part_13():
    return 13


def part_14():
    return 14


def part_15():
    return 15


def part_16():
    return 16


def part_17():
    return 17


def part_18():
    return 18


def part_19():
    return 19


def part_20():
    return 20


def part_21():
    return 21


def part_22():
    return 22


def part_23():
    return 23


PARTS = [globals()[f"part_{number}"] for number in range(24)]
