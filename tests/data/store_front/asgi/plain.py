"""An application of no framework."""

from store_front import asgi


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("there are none")
    answer = {"/look": asgi.look, "/ask": asgi.ask}.get(scope["path"])
    body = b"" if answer is None else (await answer()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
