"""All classes and functions of one revision, found without running it."""
