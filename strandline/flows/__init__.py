"""The flows that run: built-in ones, and those of others."""
