"""A blueprint for each part of the shop; the services do the work."""
