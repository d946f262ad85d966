"""Bots to read and to run: four flows, each a page, with what a restart keeps and forgets."""
