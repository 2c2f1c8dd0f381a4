"""What it costs to get spans from functions into ClickHouse, and who waits for it."""
