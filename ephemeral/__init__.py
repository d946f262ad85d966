"""Everything that a restart forgets, on purpose."""
