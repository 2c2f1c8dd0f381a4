"""Jobs that say in the journal when they begin and when they are done."""

from rq import get_current_job

from desk import journal, parts


def take(numbers, pause):
    job = get_current_job().id
    journal.note("begun", job)
    parts.take(numbers, pause)
    journal.note("done", job)
