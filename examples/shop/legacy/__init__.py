"""Unused code of earlier versions."""
