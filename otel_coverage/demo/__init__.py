"""The main job on an example: everything started, played, reported on and stopped again by one command."""
