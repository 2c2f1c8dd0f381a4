"""What may be asked of an application: the URL maps of its frameworks, and who answers a request."""
