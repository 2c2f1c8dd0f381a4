from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute

from store_front import asgi, goods


@asynccontextmanager
async def lifespan(app):
    goods.put_back()
    yield


def create_app():
    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/look", look),
            Route("/ask", ask),
            Route("/goods", list_goods),
            Mount("/shop", routes=[Route("/goods/{name}", price)]),
            Route("/background", background),
            Route("/stream", stream),
            Route("/gathered", gathered),
            Route("/refused", refused),
            WebSocketRoute("/greetings", greetings),
        ],
    )
    app.add_middleware(asgi.Middleware)
    return app


async def look(request):
    return PlainTextResponse(await asgi.look())


async def ask(request):
    return PlainTextResponse(await asgi.ask())


async def list_goods(request):
    return PlainTextResponse(", ".join(goods.names()))


def price(request):
    return PlainTextResponse(str(goods.price(request.path_params["name"])))


async def background(request):
    return PlainTextResponse("later", background=BackgroundTask(asgi.after_response))


async def stream(request):
    return StreamingResponse(asgi.one_by_one(), media_type="text/plain")


async def gathered(request):
    return PlainTextResponse(await asgi.gathered())


def refused(request):
    asgi.refuse()


async def greetings(websocket):
    await websocket.accept()
    async for name in websocket.iter_text():
        await websocket.send_text(asgi.greet(name))


app = create_app()
