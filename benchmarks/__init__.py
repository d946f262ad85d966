"""Long runs and comparisons: not part of the package, and not of the ordinary tests."""
