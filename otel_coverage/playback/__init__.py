"""Replaying recorded workflows against a running application."""
