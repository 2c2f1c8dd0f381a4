"""The embedded ClickHouse endpoint: as much of ClickHouse's HTTP interface as its usual clients need."""
