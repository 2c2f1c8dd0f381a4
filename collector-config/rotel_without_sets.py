"""For Rotel in front of Jaeger, Tempo and the like: removes what only ClickHouse needs.

``rotel-agent start --exporter otlp --otlp-with-trace-processor collector-config/rotel_without_sets.py``
"""

SETS = frozenset({"coverage.functions", "coverage.lines", "coverage.arcs", "coverage.routes"})


def process_spans(resource_spans):
    """Called by Rotel with each group of spans."""
    for group in resource_spans.scope_spans:
        for span in group.spans:
            span.attributes = [attribute for attribute in span.attributes if attribute.key not in SETS]
