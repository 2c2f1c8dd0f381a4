"""The embedded collector: OTLP in, rows of otel_traces out."""
