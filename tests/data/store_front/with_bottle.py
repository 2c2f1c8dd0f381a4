"""An application of another framework than Flask."""

from bottle import Bottle

from store_front import goods

app = Bottle()


@app.get("/goods")
def list_goods():
    return ", ".join(goods.names())
