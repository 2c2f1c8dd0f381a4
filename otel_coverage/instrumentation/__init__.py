"""Hooks into Flask, RQ and the interpreter's start, where a traced context begins and ends."""

RUN = "OTEL_COVERAGE_RUN"  # set by ``otel-coverage run`` for the process: make spans, also where recording is off
