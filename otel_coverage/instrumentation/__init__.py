"""Hooks into Flask, RQ and the interpreter's start, where a traced context begins and ends."""
