"""From a recording to attributes on spans: processor, context, writer; and the export of spans."""
