import os
import threading

from flask import Blueprint, Flask, Response, request, stream_with_context

from store_front import goods, meeting

pages = Blueprint("pages", __name__)


def create_app():
    app = Flask(__name__)
    app.register_blueprint(pages)
    app.before_request(before)
    app.teardown_appcontext(torn_down)
    app.wsgi_app = Middleware(app.wsgi_app)
    return app


class Middleware:
    def __init__(self, wsgi_app):
        self.wsgi_app = wsgi_app

    def __call__(self, environ, start_response):
        return self.wsgi_app(environ, start_response)


def before():
    if "closed" in request.args:
        return closed()


def closed():
    return "closed", 503


def torn_down(error):
    goods.put_back()


@pages.get("/goods")
def list_goods():
    return ", ".join(goods.names())


@pages.get("/look")
def look():
    do_later("look")
    return meeting.look("look")


@pages.get("/ask")
def ask():
    do_later("ask")
    return meeting.ask("ask")


def do_later(name, *arguments):
    from redis import Redis
    from rq import Queue

    return Queue(connection=Redis.from_url(os.environ["REDIS_URL"])).enqueue(f"store_front.jobs.{name}", *arguments)


@pages.get("/price")
def price():
    return str(goods.price("apple"))


@pages.get("/broken")
def broken():
    raise LookupError("nothing here")


@pages.get("/stream")
def stream():
    return Response(stream_with_context(goods.one_by_one()))


@pages.get("/lazy")
def lazy():
    response = Response(goods.one_by_one())
    response.call_on_close(goods.on_close)
    return response


@pages.get("/thread")
def thread():
    other = threading.Thread(target=goods.in_a_thread)
    other.start()
    other.join()
    return "done"


@pages.get("/greenlets")
def greenlets():
    import gevent.pool

    class Taster(gevent.Greenlet):
        def _run(self):
            return goods.tag("taste")

    spawned = [gevent.spawn(goods.price, "apple"), Taster.spawn()]
    gevent.joinall(spawned, raise_error=True)
    gevent.spawn_later(0.2, goods.in_a_thread)
    return "".join(gevent.pool.Pool(2).imap(lambda _: ", ".join(goods.names()), [1])) + spawned[1].value


@pages.get("/later")
async def later():
    return ", ".join(await goods.names_later())


@pages.get("/refused")
def refused():
    raise ArithmeticError


@pages.app_errorhandler(ArithmeticError)
def apologize(error):
    return goods.tag("sorry"), 400


@pages.get("/neighbour")
def neighbour():
    return asked_through[request.args.get("library", "urllib")](os.environ["NEIGHBOUR"])


def through_urllib(url):
    import urllib.request

    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def through_urllib3(url):
    import urllib3

    return urllib3.request("GET", url, timeout=60).data


def through_requests(url):
    import requests

    return requests.get(url, timeout=60).text


def through_httpx(url):
    import httpx

    return httpx.get(url, timeout=60).text


asked_through = {
    "urllib": through_urllib,
    "urllib3": through_urllib3,
    "requests": through_requests,
    "httpx": through_httpx,
}


@pages.get("/order")
def order():
    return do_later("pack", request.args.get("what", "apple")).id
