from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.middleware.base import BaseHTTPMiddleware

from store_front import asgi, goods


@asynccontextmanager
async def lifespan(app):
    goods.put_back()
    yield


def in_a_thread():
    goods.in_a_thread()
    try:
        yield "apple"
    finally:
        goods.on_close()


async def around(request, call_next):
    response = await call_next(request)
    response.headers["X-Seen"] = goods.tag("seen")
    return response


def create_app():
    app = FastAPI(lifespan=lifespan, default_response_class=PlainTextResponse)
    app.add_api_route("/look", asgi.look)
    app.add_api_route("/ask", asgi.ask)
    app.add_api_route("/goods", list_goods)
    app.add_api_route("/goods/{name}", price)
    app.add_api_route("/depends", depends)
    app.add_api_route("/background", background)
    app.add_api_route("/stream", stream)
    app.add_api_route("/gathered", asgi.gathered)
    app.add_api_route("/refused", asgi.refuse)
    app.add_api_websocket_route("/greetings", greetings)
    app.add_middleware(asgi.Middleware)
    return app


async def list_goods():
    return ", ".join(goods.names())


async def price(name: str):
    return str(goods.price(name))


def depends(name: str = Depends(in_a_thread)):
    return str(goods.price(name))


async def background(tasks: BackgroundTasks):
    tasks.add_task(asgi.after_response)
    tasks.add_task(asgi.after_response_in_a_thread)
    return "later"


async def stream():
    return StreamingResponse(asgi.one_by_one(), media_type="text/plain")


async def greetings(websocket: WebSocket):
    await websocket.accept()
    async for name in websocket.iter_text():
        await websocket.send_text(asgi.greet(name))


app = create_app()
