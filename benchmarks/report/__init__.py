"""What a report's page costs to write, and how fast it is in a browser."""
