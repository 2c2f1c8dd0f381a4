"""A small shop: a Flask application with background jobs, shaped like one that has grown for a while.

It knows nothing of tracing. Everything belongs to a *run*, one opening of the shop with its own stock and orders, so
that workflows played side by side never see each other's data. Its settings come from the environment:

    gunicorn --threads 8 "shop.app:create_app()"
    rq worker --url "$REDIS_URL" shop
"""
