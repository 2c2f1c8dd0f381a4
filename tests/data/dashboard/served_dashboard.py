"""rq-dashboard as a WSGI application."""

import os

from rq_dashboard.cli import make_flask_app
from rq_dashboard.web import setup_rq_connection

app = make_flask_app(None, None, None, "")
app.config["RQ_DASHBOARD_REDIS_URL"] = os.environ["REDIS_URL"]
setup_rq_connection(app)
