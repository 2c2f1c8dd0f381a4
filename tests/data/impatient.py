import rq
from otel_coverage.tracing import recorder

recorder.DRAIN_SECONDS = 0.1


class Worker(rq.Worker):
    pass
