"""The embedded ClickHouse endpoint: the part of ClickHouse's HTTP interface that its usual clients need."""
