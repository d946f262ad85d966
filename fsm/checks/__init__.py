"""Checks of flow classes and of sets of flows. Each finding has a code and a remedy."""
