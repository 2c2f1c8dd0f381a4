"""From a recording to attributes on spans: processor, context, exporter."""
