"""One file of a report each."""
