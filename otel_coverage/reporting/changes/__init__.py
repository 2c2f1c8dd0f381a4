"""What changed between two revisions or nights: of what profiles execute, and of the code itself."""
