"""The store in one SQLite file, with one thread that writes and one that reads."""
