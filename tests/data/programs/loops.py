"""Requests that an event loop runs in turns, each in one of the ways in which coroutines wait for something."""

import asyncio
import contextlib
import contextvars
import sys
import threading


async def turns(n):
    for number in range(n):
        await asyncio.sleep(0)
        if number % 2:
            called(number)
    return n


def called(n):
    return n


def after(n): return called(n)


async def part(n):
    await asyncio.sleep(0)
    return called(n) if n % 2 else n


async def gathers(n):
    return await asyncio.gather(*(part(number) for number in range(n)))


async def makes_tasks(n):
    tasks = [asyncio.create_task(part(number)) for number in range(n)]
    first = asyncio.ensure_future(turns(n))
    for task in tasks:
        await task
    await asyncio.wait([first])
    return await asyncio.wait_for(part(n), 60)


async def uses_a_queue(n):
    queue = asyncio.Queue()

    async def produce():
        for number in range(n):
            await queue.put(number)
            await asyncio.sleep(0)
        await queue.put(None)

    task = asyncio.create_task(produce())
    while (number := await queue.get()) is not None:
        called(number)
    await task


class guard:
    def __init__(self, n):
        self.n = n

    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, kind, error, traceback):
        await asyncio.sleep(0)
        if self.n % 2:
            called(self.n)
        return kind is KeyError


@contextlib.asynccontextmanager
async def opened(n):
    await asyncio.sleep(0)
    try:
        yield n
    finally:
        await part(n)


async def holds(n):
    lock = asyncio.Lock()
    async with guard(n), lock, opened(n):
        await asyncio.sleep(0)
    async with guard(n):
        raise KeyError
    with contextlib.suppress(ValueError):
        async with opened(n):
            await asyncio.sleep(0)
            raise ValueError


async def counting(n):
    try:
        for number in range(n):
            await asyncio.sleep(0)
            yield number
    finally:
        await asyncio.sleep(0)
        after(n)


async def generates(n):
    found = [number async for number in counting(n)]
    generator = counting(n + 2)
    await anext_of(generator)
    with contextlib.suppress(KeyError):
        await generator.athrow(KeyError())
    generator = counting(n + 2)
    await anext_of(generator)
    await generator.aclose()
    return found


async def anext_of(generator):
    return await generator.__anext__()


async def leaves_a_generator(n):
    async for number in counting(n + 2):
        if number == n:
            break
    for _ in range(8):  # the loop closes it
        await asyncio.sleep(0)


async def calls_back(n):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(after, n)
    loop.call_later(0.001, called, n)
    loop.call_at(loop.time() + 0.002, done.set_result, n)
    done.add_done_callback(finished)
    loop.call_soon(another, n, context=contextvars.copy_context())
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(loop.call_soon_threadsafe, threadsafe, n)).start()
    await done
    await asyncio.sleep(0.05)


def another(n):
    return n


def threadsafe(n):
    return n


def finished(future):
    if future.result() % 2:
        called(1)


async def is_cancelled(n):
    task = asyncio.create_task(waits(n))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(waits(n), 0.001)


async def waits(n):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        if n % 2:
            called(n)
        raise
    finally:
        await asyncio.sleep(0)
        after(n)


async def fails(n):
    await asyncio.sleep(0)
    try:
        await refused(n)
    except ZeroDivisionError:
        return called(n)


async def refused(n):
    await asyncio.sleep(0)
    return n / 0


async def recurses(n):
    await asyncio.sleep(0)
    return await recurses(n - 1) if n else called(n)


async def watches_a_pipe(n):
    import os

    reader, writer = os.pipe()
    loop = asyncio.get_running_loop()
    seen = loop.create_future()

    def readable():
        loop.remove_reader(reader)
        seen.set_result(os.read(reader, 1))

    loop.add_reader(reader, readable)
    await asyncio.sleep(0)
    os.write(writer, b"x")
    await seen
    os.close(reader)
    os.close(writer)


async def is_awaitable(n):
    return await Awaitable(n)


class Awaitable:
    def __init__(self, n):
        self.n = n

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return (yield from part(self.n).__await__())


if sys.version_info >= (3, 11):
    async def groups(n):
        async with asyncio.TaskGroup() as group:
            for number in range(n):
                group.create_task(part(number))
        async with asyncio.timeout(60):
            await part(n)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.001):
                await waits(n)


if sys.version_info >= (3, 12):
    async def eager(n):
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()
        loop.set_task_factory(asyncio.eager_task_factory)
        try:
            tasks = [asyncio.create_task(part(number)) for number in range(n)]
        finally:
            loop.set_task_factory(before)
        await asyncio.gather(*tasks)
