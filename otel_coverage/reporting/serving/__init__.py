"""The report's page over a live store: served on this machine, and read anew as spans arrive."""

DEFAULT_ENDPOINT = "127.0.0.1:8321"
