"""People who were tested: who they are, which specimens are theirs, and what was changed about that."""
