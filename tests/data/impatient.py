import rq
from otel_coverage.tracing import recorder

recorder.PARTIAL_SECONDS = 0.1


class Worker(rq.Worker):
    pass
