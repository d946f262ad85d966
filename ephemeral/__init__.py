"""Ephemeral state: everything that a restart loses by design."""
