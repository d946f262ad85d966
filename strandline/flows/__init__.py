"""Finds and creates the flows that run: the built-in ones, and those of the config and packages."""
