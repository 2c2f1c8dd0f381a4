import os
import time
from pathlib import Path

from store_front import goods


def look(name):
    meet(name)
    return ", ".join(goods.names())


def ask(name):
    meet(name)
    return str(goods.price("apple"))


def meet(name):
    arrive(name)
    await_all()
    return name


def arrive(name):
    Path(os.environ["MEETING"], name).touch()


def await_all():
    for _ in range(3000):
        if len(os.listdir(os.environ["MEETING"])) >= 2:
            return
        time.sleep(0.01)
    raise TimeoutError("nobody else came")
