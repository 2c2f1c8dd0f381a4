"""The source that the benchmark records."""
