"""Workflows of CI systems, written from a table of settings."""
