"""Everything that a restart forgets."""
