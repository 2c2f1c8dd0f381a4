"""The pages: a blueprint for each part of the shop. Thin; the services do the work."""
