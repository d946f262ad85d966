"""The front door: assembly, config and the command line."""
