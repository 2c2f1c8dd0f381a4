PRICES = {"apple": 3, "pear": 4}


def names():
    return sorted(PRICES)


def price(name):
    if name in PRICES:
        return PRICES[name]
    return unknown(name)


def unknown(name):
    raise LookupError(name)


def one_by_one():
    for name in names():
        yield tag(name)


def tag(name):
    return f"{name} "


def on_close():
    pass


def in_a_thread():
    pass


def taste(until):
    tag("bite")
    until.wait(60)


def put_back():
    pass


async def names_later():
    import asyncio

    first, second = await asyncio.gather(one_later("apple"), asyncio.create_task(one_later("pear")))
    return [first, second]


async def one_later(name):
    import asyncio

    await asyncio.sleep(0)
    return await asyncio.to_thread(tag, name)
