"""What a report has for each profile: its data file of coverage.py, its JSON, its HTML."""
