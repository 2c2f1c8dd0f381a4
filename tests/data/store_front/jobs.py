import os

from store_front import goods


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
