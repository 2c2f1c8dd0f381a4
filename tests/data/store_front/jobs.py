import os

from rq import Worker

from store_front import goods


class OwnWorker(Worker):
    def perform_job(self, *arguments):
        announce()
        try:
            return super().perform_job(*arguments)
        finally:
            goods.put_back()


def announce():
    pass


def pack(what):
    total = goods.price(what)
    follow_up("ship", total)
    return total


def follow_up(name, *arguments):
    from rq import Queue, get_current_job

    current = get_current_job()
    if current is not None:
        Queue(connection=current.connection).enqueue(f"store_front.jobs.{name}", *arguments)


def ship(total):
    return label(total)


def label(total):
    return f"paid {total}"


def fail():
    raise ValueError(os.environ.get("WHY", "no reason"))


def replace_meta_and_fail():
    from rq import get_current_job

    job = get_current_job()
    job.meta = {"mine": True}
    job.save_meta()
    raise ValueError("after replacing meta")


def die_once():
    import signal
    from pathlib import Path

    died = Path(os.environ["STARTED"])
    if not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    label(3)


def die_once_with_its_worker():
    import os
    import signal
    from pathlib import Path

    died = Path(os.environ["STARTED"])
    if not died.exists():
        died.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    label(3)


def succeeded(job, connection, result):
    pass


def failed(job, connection, *error):
    pass


def stopped(job, connection):
    mark()


def mark():
    pass


def last():
    from pathlib import Path

    endless()
    Path(os.environ["STARTED"]).write_text(str(os.getpid()))
    while True:
        endless()


def leave_behind():
    import threading
    from pathlib import Path

    threading.Thread(target=last, daemon=True).start()
    while not Path(os.environ["STARTED"]).exists():
        endless()


def endless():
    import time

    time.sleep(0.01)


def look():
    from store_front import meeting

    return meeting.look("look")


def ask():
    from store_front import meeting

    return meeting.ask("ask")


class Parcel:
    def __init__(self, weight):
        self.weight = weight

    def __setstate__(self, state):
        self.weight = state["weight"]


def weigh(parcel):
    return parcel.weight
