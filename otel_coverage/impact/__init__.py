"""Which profiles a change of the source can concern: what git says differs, and who executes it."""
