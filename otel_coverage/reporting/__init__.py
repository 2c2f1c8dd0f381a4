"""From query results to files that people and CI read."""
