"""The Flask application behind adapters."""

from a2wsgi import WSGIMiddleware
from asgiref.wsgi import WsgiToAsgi

from store_front import create_app

flask_app = create_app()
by_asgiref = WsgiToAsgi(flask_app)
by_a2wsgi = WSGIMiddleware(flask_app)
