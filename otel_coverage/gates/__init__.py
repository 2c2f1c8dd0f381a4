"""Checks that say no: of coverage, losses, overhead and artifacts, each with a reason."""
