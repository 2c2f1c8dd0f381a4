"""What the applications of all ASGI frameworks serve."""

import asyncio
import os

from store_front import goods, meeting


class Middleware:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


async def look():
    do_later("look")
    await meet("look")
    return ", ".join(goods.names())


async def ask():
    do_later("ask")
    await meet("ask")
    return str(goods.price("apple"))


async def meet(name):
    meeting.arrive(name)
    await await_all()
    return name


async def await_all():
    for _ in range(3000):
        if len(os.listdir(os.environ["MEETING"])) >= 2:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("nobody else came")


def do_later(name, *arguments):
    from redis import Redis
    from rq import Queue

    return Queue(connection=Redis.from_url(os.environ["REDIS_URL"])).enqueue(f"store_front.jobs.{name}", *arguments)


async def one_by_one():
    for name in goods.names():
        await asyncio.sleep(0)
        yield goods.tag(name)


async def gathered():
    return ", ".join(await goods.names_later())


async def after_response():
    await asyncio.sleep(0)
    goods.on_close()


def after_response_in_a_thread():
    goods.in_a_thread()


def greet(name):
    return goods.tag(name)


def refuse():
    raise LookupError("nothing here")
