"""ClickHouse: connecting, applying the schema, asking."""
