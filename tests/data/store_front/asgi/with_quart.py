from quart import Quart, websocket

from store_front import asgi, goods


def create_app():
    app = Quart(__name__)
    app.add_url_rule("/look", view_func=look)
    app.add_url_rule("/ask", view_func=ask)
    app.add_url_rule("/goods", view_func=list_goods)
    app.add_url_rule("/goods/<name>", view_func=price)
    app.add_url_rule("/background", view_func=background)
    app.add_url_rule("/stream", view_func=stream)
    app.add_url_rule("/gathered", view_func=gathered)
    app.add_url_rule("/refused", view_func=refused)
    app.add_websocket("/greetings", view_func=greetings)
    app.before_serving(goods.put_back)
    app.asgi_app = asgi.Middleware(app.asgi_app)
    return app


async def look():
    return await asgi.look()


async def ask():
    return await asgi.ask()


async def list_goods():
    return ", ".join(goods.names())


def price(name):
    return str(goods.price(name))


async def background():
    from quart import current_app

    current_app.add_background_task(asgi.after_response)
    return "later"


async def stream():
    return asgi.one_by_one()


async def gathered():
    return await asgi.gathered()


def refused():
    asgi.refuse()


async def greetings():
    while True:
        await websocket.send(asgi.greet(await websocket.receive()))


app = create_app()
