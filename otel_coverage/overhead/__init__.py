"""What tracing costs: the same profiles played with and without it, in turn."""
