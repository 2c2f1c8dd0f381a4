"""The code that is run plain and recorded: each workload is written into a folder and imported from there."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CALL_DENSE_FUNCTIONS = 834
CALL_DENSE_ROUNDS = 36  # about 30,000 calls a request, 10 ms: three million calls a second

VARIED_FILES, VARIED_FUNCTIONS = 40, 25
VARIED_CALLED, VARIED_TURNS = 12, 36  # of each file: about 17,000 calls a request

SHARED_KINDS = 6
SHARED_FUNCTIONS = 60
SHARED_FUNCTIONS_PER_KIND = 25

Clock = Callable[[], float]


@dataclass(frozen=True)
class Workload:
    """One request's worth of work.

    Attributes:
        name: as the table shows it.
        what: what it stands for.
        folder: holds the source that counts as the application's.
        load: imports the source and returns the request.
        clock: what a request's cost is read from. The CPU time of the process where a request computes: a machine that
            is busy with something else does not change it. Wall time where it waits.
    """

    name: str
    what: str
    folder: Path
    load: Callable[[], Callable[[], object]]
    clock: Clock


def workload(name: str, folder: Path) -> Workload:
    """Write the named workload's source below ``folder``.

    Raises:
        KeyError: no workload has that name.
    """
    what, source, load = _WORKLOADS[name]
    package = folder / f"bench_{name}"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    files = source()
    for file, text in ({"application.py": files} if isinstance(files, str) else files).items():
        (package / file).write_text(text)

    def load_from_there() -> Callable[[], object]:
        sys.path.insert(0, str(folder))
        return load(importlib.import_module(f"bench_{name}.application"))

    clock = time.perf_counter if name == "io_bound" else time.process_time
    return Workload(name, what, package, load_from_there, clock)


def names() -> list[str]:
    """The workloads, in the table's order."""
    return list(_WORKLOADS)


def _call_dense() -> str:
    """Short functions, every line of which runs, and which do no more than a third of a microsecond's work each."""
    functions = [
        f"def f{number}(x):\n"
        f"    a = x + {number % 7}\n"
        '    text = f"order {a} of 7"\n'
        "    words = text.split()\n"
        "    if words:\n"
        "        a = int(words[1]) + len(text)\n"
        "    return a\n"
        for number in range(CALL_DENSE_FUNCTIONS)
    ]
    calls = "".join(f"        f{number}(x + 1)\n" for number in range(CALL_DENSE_FUNCTIONS))
    return "\n".join(functions) + f"\ndef request():\n    for x in range({CALL_DENSE_ROUNDS}):\n{calls}"


def _varied() -> dict[str, str]:
    """Many files, of which each request runs other functions and lines than any before: nothing is known of it."""
    function = (
        "def {name}(x):\n"
        "    text = str(x)\n"
        + "".join(
            f"    if x >> {{shift}} + {bit} & 1:\n        text = text.replace('{bit}', 'a').upper()\n"
            for bit in range(4)
        )
        + "    for word in text.split('a'):\n        x += len(word)\n    return x\n"
    )
    files = {
        f"module{number}.py": "\n\n".join(
            function.format(name=f"f{each}", shift=(number + each) % 13) for each in range(VARIED_FUNCTIONS)
        )
        for number in range(VARIED_FILES)
    }
    imports = "".join(f"from . import module{number}\n" for number in range(VARIED_FILES))
    modules = ", ".join(f"module{number}" for number in range(VARIED_FILES))
    files["application.py"] = (
        f"import itertools\n\n{imports}\nmodules = [{modules}]\nnumbers = itertools.count()\n\n\n"
        "def request():\n"
        "    number = next(numbers)\n"
        "    draw = number * 2654435761 % 2**32\n"
        "    for place, module in enumerate(modules):\n"
        f"        for step in range({VARIED_CALLED}):\n"
        f"            function = getattr(module, f'f{{(draw + step * (place + 1)) % {VARIED_FUNCTIONS}}}')\n"
        f"            for turn in range({VARIED_TURNS}):\n"
        "                function(draw + place + turn // 12)\n"
    )
    return files


def _line_dense() -> str:
    """Few functions, long loops: the same lines run again and again."""
    return """
def sieve(limit):
    flags = [True] * limit
    count = 0
    for number in range(2, limit):
        if flags[number]:
            count += 1
            multiple = number * number
            while multiple < limit:
                flags[multiple] = False
                multiple += number
    return count


def collatz(start):
    steps = 0
    while start != 1:
        if start % 2:
            start = 3 * start + 1
        else:
            start //= 2
        steps += 1
    return steps


def request():
    return sieve(30_000) + sum(collatz(start) for start in range(1, 400))
"""


def _io_bound() -> str:
    """Waits on a socket, as a request that asks a database twenty times does."""
    return """
import socket
import threading
import time


def answer(server):
    while True:
        question = server.recv(64)
        if not question:
            return
        time.sleep(0.0005)
        server.sendall(question)


class Connections(threading.local):
    def __init__(self):
        self.client, server = socket.socketpair()
        threading.Thread(target=answer, args=(server,), daemon=True).start()


connections = Connections()


def ask(number):
    connections.client.sendall(b"%d" % number)
    return int(connections.client.recv(64))


def request():
    total = 0
    for number in range(20):
        total += ask(number)
    return total
"""


def _flask() -> str:
    """A request through Flask, its session, SQLAlchemy on SQLite and Jinja."""
    return '''
import threading
from pathlib import Path

import flask
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = sa.create_engine(f"sqlite:///{Path(__file__).with_name('orders.db')}")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    amount: Mapped[int]

    @property
    def label(self):
        return f"{self.id}: {self.customer}"


Base.metadata.create_all(engine)
with Session(engine) as session:
    session.add_all(Order(customer=f"customer {n % 17}", amount=n) for n in range(200))
    session.commit()

app = flask.Flask(__name__)
app.secret_key = "benchmark"

TEMPLATE = """<h1>{{ title }}</h1><ul>{% for order in orders %}
<li class="{{ loop.cycle('odd', 'even') }}">{{ order.label|upper }} {{ order.amount|money }}</li>{% endfor %}</ul>"""


@app.template_filter("money")
def money(amount):
    return f"{amount / 100:.2f}"


@app.before_request
def count_visits():
    flask.session["visits"] = flask.session.get("visits", 0) + 1


def orders_above(session, least):
    return session.scalars(sa.select(Order).where(Order.amount >= least).order_by(Order.customer)).all()


def total_by_customer(session):
    rows = session.execute(sa.select(Order.customer, sa.func.sum(Order.amount)).group_by(Order.customer))
    return {customer: total for customer, total in rows}


@app.route("/orders")
def orders():
    with Session(engine) as session:
        found = orders_above(session, flask.request.args.get("least", 0, type=int))
        totals = total_by_customer(session)
        return flask.render_template_string(TEMPLATE, title=f"{len(totals)} customers", orders=found)


class Browser(threading.local):
    def __init__(self):
        self.client = app.test_client()


browser = Browser()


def request():
    response = browser.client.get("/orders?least=20")
    assert response.status_code == 200
    return response.data
'''


def shared_source() -> str:
    """Sixty functions that six kinds of request share, for the threaded comparison of sets."""
    return "import time\n\n" + "\n".join(
        f"def g{number}(x):\n    y = x + {number}\n    return y\n" for number in range(SHARED_FUNCTIONS)
    )


def shared_kind(kind: int) -> list[str]:
    """The functions that requests of that kind execute: known beforehand, some shared with the other kinds."""
    return [f"g{(kind * 7 + step) % SHARED_FUNCTIONS}" for step in range(SHARED_FUNCTIONS_PER_KIND)]


def seconds_of(request: Callable[[], object], clock: Clock, seconds: float, least: int) -> float:
    """What the cheapest of the requests that fit into ``seconds`` costs, of ``least`` at any rate; in seconds."""
    best = float("inf")
    done = 0
    until = clock() + seconds
    while done < least or clock() < until:
        before = clock()
        request()
        best = min(best, clock() - before)
        done += 1
    return best


_Source = Callable[[], str | dict[str, str]]

_WORKLOADS: dict[str, tuple[str, _Source, Callable[..., Callable[[], object]]]] = {
    "call_dense": ("834 functions, 5,800 lines, 3 million calls a second", _call_dense, lambda module: module.request),
    "varied": ("40 files, each request runs other functions and lines", _varied, lambda module: module.request),
    "line_dense": ("long loops over few lines", _line_dense, lambda module: module.request),
    "io_bound": ("twenty answers waited for", _io_bound, lambda module: module.request),
    "flask": ("Flask, session, SQLAlchemy, Jinja", _flask, lambda module: module.request),
}
