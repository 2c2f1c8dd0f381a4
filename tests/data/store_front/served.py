"""The application in the ways in which deployments serve it."""

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from store_front.web import before, pages


class OwnCall(Flask):
    def __call__(self, environ, start_response):
        checked(environ)
        return self.wsgi_app(environ, start_response)


class Gate:
    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        checked(environ)
        return self.application(dict(environ), start_response)


class GeneratorGate(Gate):
    def __call__(self, *request):
        checked(request[0])
        yield from self.application(*request)


def checked(environ):
    return environ["REQUEST_METHOD"]


def create_app(kind=Flask):
    app = kind("store_front.web")
    app.register_blueprint(pages)
    app.before_request(before)
    return app


def mounted(app):
    return DispatcherMiddleware(not_found, {"/shop": app})


def not_found(environ, start_response):
    start_response("404 NOT FOUND", [("Content-Type", "text/plain")])
    return [b"not found"]


def behind_a_proxy(app):
    return ProxyFix(app.wsgi_app)


gated = Gate(create_app())
