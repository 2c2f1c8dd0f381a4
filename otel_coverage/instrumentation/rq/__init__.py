"""RQ: a PRODUCER span where a job is queued, a CONSUMER span around its performance, and the context between them.

In every version of RQ, and in rq-scheduler, jobs are made in ``Job.create``, queued in ``Queue._enqueue_job``, kept
until their time in ``Queue.schedule_job`` and until other jobs are done in ``Job.register_dependency``. Workers of
every class perform them in ``perform_job``, queues with ``is_async=False`` in ``run_sync``. Each queueing is a call of
its own, so that an attempt that was killed stays unanswered though another one succeeds.
"""

from otel_coverage.instrumentation.rq.instrumentor import RQInstrumentor

__all__ = ["RQInstrumentor"]
