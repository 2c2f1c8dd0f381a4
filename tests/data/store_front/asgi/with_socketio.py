"""Socket.IO beside an application: python-socketio's own server, of coroutines."""

import socketio

from store_front import asgi
from store_front.asgi.with_starlette import create_app

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server, create_app())


@server.event
async def connect(sid, environ):
    asgi.greet("connect")


@server.event
async def greet(sid, name):
    return asgi.greet(name)
