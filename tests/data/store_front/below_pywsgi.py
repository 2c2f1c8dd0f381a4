"""The application below gevent's own server, on the port that the command line says."""

import sys

from gevent.pywsgi import WSGIServer

from store_front.served import gated

WSGIServer(("127.0.0.1", int(sys.argv[1])), gated).serve_forever()
