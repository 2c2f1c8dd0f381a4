#!/bin/sh
# The users of docker-compose.yml; the server's image runs this once, after access.sql. Passwords come from .env.
set -eu

user() { # name password role
  case $2 in
    '' | *[!A-Za-z0-9_-]*) echo "the password of $1 may have letters, digits, _ and - only" >&2; exit 1 ;;
  esac
  clickhouse-client --user "$CLICKHOUSE_USER" --password "$CLICKHOUSE_PASSWORD" --multiquery <<SQL
CREATE USER IF NOT EXISTS $1 IDENTIFIED WITH sha256_password BY '$2' DEFAULT ROLE $3;
GRANT $3 TO $1;
SQL
}

user collector "$COLLECTOR_PASSWORD" coverage_collector
user reader "$READER_PASSWORD" coverage_reader
