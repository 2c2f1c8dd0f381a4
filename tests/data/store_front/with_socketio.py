"""Flask-SocketIO, in the threads of Flask's development server or of gunicorn."""

from flask_socketio import SocketIO

from store_front import create_app, goods

app = create_app()
sockets = SocketIO(app, async_mode="threading")


@sockets.on("connect")
def connect():
    goods.tag("connect")


@sockets.on("greet")
def greet(name):
    return goods.tag(name)
