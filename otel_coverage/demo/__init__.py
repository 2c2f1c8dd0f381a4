"""The demo: one command that starts, plays, reports on and stops an example application."""
