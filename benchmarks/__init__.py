"""Measurements: code that one command runs again, side by side with peers, printing ratios."""
