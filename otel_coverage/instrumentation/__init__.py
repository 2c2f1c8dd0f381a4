"""Hooks into Flask, RQ, threads and processes: where a traced context begins, and where it goes on."""

RUN = "OTEL_COVERAGE_RUN"  # set by ``otel-coverage run``: make spans even where recording is off
