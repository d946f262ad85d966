"""The config file: its structure, checks and errors."""
