"""Grafana's dashboards, as code: ``python -m dashboards`` writes ``collector-config/grafana/dashboards/``.

A module for each dashboard says what its panels show; :mod:`~dashboards.model` turns that into Grafana's JSON,
:mod:`~dashboards.sql` the SQL of ``queries/`` into that of Grafana's ClickHouse data source.
"""
